import asyncio
import time

import numpy as np
import pytest

from serving.answers import Answers
from serving.batching import Batched
from serving.errors import Code
from serving.workers import Workers


@pytest.fixture
def ask(shouter):
    """Asks several texts at once in an event loop; returns what came of each."""
    workers = Workers(2)
    batched = Batched(shouter, workers)

    def ask(*texts, deadline_s=None):
        async def gather():
            answers = Answers(asyncio.get_running_loop())
            asked = [
                answers.predict(batched, "serving_default", {"text": np.array([text], object)}, (), deadline_s)
                for text in texts
            ]
            return await asyncio.gather(*asked, return_exceptions=True)

        return asyncio.run(gather())

    yield ask
    workers.close()


def test_every_caller_gets_its_answer(ask):
    answers = ask(*(b"word %d" % number for number in range(100)))
    assert [answer["text"][0] for answer in answers] == [b"WORD %d" % number for number in range(100)]


def test_refusals_reach_the_one_who_asked(ask):
    good, fault = ask(b"good", b"fault")
    assert good["text"][0] == b"GOOD"
    assert (fault.code, fault.message) == (Code.INVALID_ARGUMENT, "Not that.")


def test_passed_deadline_is_told_at_once(ask):
    (answer,) = ask(b"late", deadline_s=time.monotonic() - 1)
    assert answer.code is Code.DEADLINE_EXCEEDED
