"""Requests that wait together run together; TensorFlow Serving's rules and words where its parameters are given."""

import threading
import time

import numpy as np
import pytest

from serving.batching import Batched
from serving.errors import Code, ServingError
from serving.model_config import BatchingParameters
from serving.signature import Signature, TensorSpec
from serving.workers import Workers

WAIT_S = 20
FREE_ROWS = TensorSpec(np.dtype(np.float32), (None, 2))


class Doubler:
    """y = 2 x, and a record of the batches; `gate` holds every run; `mixes` adds the batch's sum to each row."""

    signature_defs: dict = {}
    engine_report: dict = {}
    stateful: frozenset = frozenset()

    def __init__(self, mixes=False):
        self.signatures = {"serving_default": Signature({"x": FREE_ROWS}, {"y": FREE_ROWS}, "", {})}
        self.mixes = mixes
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)

    def run(self, signature_name, inputs, outputs, deadline_s=None):
        self.batches.append(len(inputs["x"]))
        self.entered.release()
        assert self.gate.wait(WAIT_S)
        if np.isnan(inputs["x"]).any():
            raise ServingError(Code.INVALID_ARGUMENT, "no numbers")
        return {"y": 2 * inputs["x"] + (inputs["x"].sum() if self.mixes else 0)}

    def close(self):
        self.gate.set()


class Callers:
    """Calls `run` from threads of their own and collects what they got."""

    def __init__(self, batched):
        self.batched = batched
        self.threads, self.answers = [], {}

    def call(self, name, x, deadline_s=None):
        def run():
            try:
                inputs = {"x": np.asarray(x, np.float32)}
                self.answers[name] = self.batched.run("serving_default", inputs, ["y"], deadline_s)["y"].tolist()
            except ServingError as error:
                self.answers[name] = error

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def join(self):
        for thread in self.threads:
            thread.join(WAIT_S)
        return self.answers


@pytest.fixture
def workers():
    workers = Workers(1)
    yield workers
    workers.close()


def queued(batched, count):
    """Waits until `count` requests wait behind the running batch."""
    deadline_s = time.monotonic() + WAIT_S
    while sum(len(queue.waiting) for queue in list(batched._queues._queues.values())) < count:
        assert time.monotonic() < deadline_s


def busy(workers, parameters=None, servable=None):
    """A batcher whose one worker is held in a first request, and its callers."""
    servable = servable or Doubler()
    servable.gate.clear()
    batched = Batched(servable, workers, parameters)
    callers = Callers(batched)
    callers.call("first", [[0, 1]])
    assert servable.entered.acquire(timeout=WAIT_S)
    return servable, batched, callers


def test_idle_request_runs_at_once_and_alone(workers):
    servable = Doubler()
    answer = Batched(servable, workers).run("serving_default", {"x": np.ones((1, 2), np.float32)}, ["y"])
    assert answer["y"].tolist() == [[2, 2]]
    assert servable.batches == [1]


def test_what_waits_runs_together_and_each_caller_gets_its_own_rows(workers):
    servable, batched, callers = busy(workers)
    for number in range(4):
        callers.call(number, [[number, 10]] * (number + 1))
    queued(batched, 4)
    servable.gate.set()
    answers = callers.join()
    assert {number: answers[number] for number in range(4)} == {
        number: [[2 * number, 20]] * (number + 1) for number in range(4)
    }
    assert servable.batches[-1] == 10


def test_rows_that_depend_on_each_other_run_apart(workers):
    servable, batched, callers = busy(workers, servable=Doubler(mixes=True))
    callers.call("a", [[1, 0]])
    callers.call("b", [[5, 0]])
    queued(batched, 2)
    servable.gate.set()
    answers = callers.join()
    assert (answers["a"], answers["b"]) == ([[3, 1]], [[15, 5]])


def test_one_requests_fault_is_not_its_neighbours(workers):
    servable, batched, callers = busy(workers)
    callers.call("good", [[1, 1]])
    callers.call("bad", [[np.nan, 1]])
    queued(batched, 2)
    servable.gate.set()
    answers = callers.join()
    assert answers["good"] == [[2, 2]]
    assert answers["bad"].message == "no numbers"


def test_work_whose_deadline_has_passed_is_not_run(workers):
    servable, batched, callers = busy(workers)
    callers.call("late", [[7, 7]], deadline_s=time.monotonic() + 0.05)
    answers = callers.threads[-1].join(WAIT_S) or callers.answers
    assert answers["late"].code is Code.DEADLINE_EXCEEDED
    servable.gate.set()
    callers.join()
    assert batched.run("serving_default", {"x": np.ones((1, 2), np.float32)}, ["y"])["y"].tolist() == [[2, 2]]
    assert servable.batches == [1, 1]


def test_unloading_waits_for_a_batch_whose_caller_gave_up(workers):
    servable, batched, callers = busy(workers)
    callers.call("impatient", [[1, 1]], deadline_s=time.monotonic() + 0.01)
    callers.threads[-1].join(WAIT_S)
    closing = threading.Thread(target=batched.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    servable.gate.set()
    closing.join(WAIT_S)
    assert not closing.is_alive()


@pytest.mark.parametrize(
    "parameters, sent, batches",
    [
        (BatchingParameters(max_batch_size=8, allowed_batch_sizes=(4, 8)), [1, 2], 4),
        (BatchingParameters(max_batch_size=8, allowed_batch_sizes=(4, 8)), [3, 2], 8),
        (BatchingParameters(max_batch_size=8), [3, 2], 5),
    ],
)
def test_batches_are_padded_to_the_allowed_sizes(workers, parameters, sent, batches):
    servable, batched, callers = busy(workers, parameters)
    for rows in sent:
        callers.call(rows, [[rows, 0]] * rows)
    queued(batched, len(sent))
    servable.gate.set()
    answers = callers.join()
    assert all(answers[rows] == [[2 * rows, 0]] * rows for rows in sent)
    assert servable.batches[-1] == batches


def test_large_batch_is_split_and_put_together_again(workers):
    parameters = BatchingParameters(
        max_batch_size=10, enable_large_batch_splitting=True, max_execution_batch_size=4, allowed_batch_sizes=(4,)
    )
    servable = Doubler()
    x = np.arange(20, dtype=np.float32).reshape(10, 2)
    answer = Batched(servable, workers, parameters).run("serving_default", {"x": x}, ["y"])
    np.testing.assert_array_equal(answer["y"], 2 * x)
    assert max(servable.batches) == 4


def test_timeout_waits_for_company_and_no_longer(workers):
    parameters = BatchingParameters(max_batch_size=2, batch_timeout_micros=WAIT_S * 1_000_000)
    servable = Doubler()
    callers = Callers(Batched(servable, workers, parameters))
    callers.call("one", [[1, 1]])
    callers.call("two", [[2, 2]])
    assert callers.join() == {"one": [[2, 2]], "two": [[4, 4]]}
    assert servable.batches == [2]


@pytest.mark.parametrize(
    "inputs, message",
    [
        ({"x": np.zeros((65, 2))}, "Task size 65 is larger than maximum input batch size 64"),
        ({"x": np.zeros(())}, "Batching Run() input tensors must have at least one dimension"),
        (
            {"x": np.zeros((1, 2)), "z": np.zeros((2, 2))},
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
    ],
)
def test_refusals_are_in_the_contracts_words(workers, inputs, message):
    with pytest.raises(ServingError) as refused:
        Batched(Doubler(), workers, BatchingParameters(max_batch_size=64)).run("serving_default", inputs, ["y"])
    assert (refused.value.code, refused.value.message) == (Code.INVALID_ARGUMENT, message)


def test_different_shapes_in_one_batch_are_refused_by_the_rules_and_run_apart_without(workers):
    for parameters in (BatchingParameters(max_batch_size=8), None):
        servable, batched, callers = busy(workers, parameters)
        callers.call("narrow", [[1, 1]])
        callers.call("wide", [[1, 1, 1]])
        queued(batched, 2)
        servable.gate.set()
        answers = callers.join()
        if parameters:
            assert answers["wide"].code is Code.FAILED_PRECONDITION
            assert answers["wide"].message.startswith(
                "Tensors with name 'x' from different tasks have different shapes"
            )
        else:
            assert (answers["narrow"], answers["wide"]) == ([[2, 2]], [[2, 2, 2]])


def test_full_queue_answers_at_once(workers):
    parameters = BatchingParameters(max_batch_size=1, max_enqueued_batches=1, num_batch_threads=1)
    servable, batched, callers = busy(workers, parameters)
    callers.call("waits", [[1, 1]])
    queued(batched, 1)
    with pytest.raises(ServingError) as refused:
        batched.run("serving_default", {"x": np.ones((1, 2), np.float32)}, ["y"])
    assert (refused.value.code, refused.value.message) == (
        Code.UNAVAILABLE,
        "The batch scheduling queue to which this task was submitted is full",
    )
    servable.gate.set()
    callers.join()


def test_one_models_load_does_not_starve_anothers(workers):
    """The quiet model's one request runs after at most one more batch of the loaded model's."""
    loaded, batched, callers = busy(workers, BatchingParameters(max_batch_size=1, num_batch_threads=1))
    for number in range(5):
        callers.call(number, [[number, 0]])
    queued(batched, 5)
    order = []
    quiet = Doubler()
    quiet_callers = Callers(Batched(quiet, workers, observe=lambda *_: order.append(len(loaded.batches))))
    quiet_callers.call("quiet", [[1, 1]])
    queued_quiet_s = time.monotonic() + WAIT_S
    while workers._jobs.empty() and time.monotonic() < queued_quiet_s:
        pass
    loaded.gate.set()
    quiet_callers.join()
    callers.join()
    assert order and order[0] <= 2


def test_batches_are_observed_with_their_rows_and_waits(workers):
    seen = []
    servable = Doubler()
    batched = Batched(servable, workers, observe=lambda *call: seen.append(call))
    batched.run("serving_default", {"x": np.ones((3, 2), np.float32)}, ["y"])
    ((name, rows, waits_s),) = seen
    assert (name, rows, len(waits_s)) == ("serving_default", 3, 1) and waits_s[0] >= 0
