"""Whether the rows of a signature can be run together: the answers of a batch against those of its requests apart."""

import threading
from collections.abc import Callable, Sequence

import numpy as np

from serving.engine_check import TOLERANCES, draw
from serving.errors import ServingError
from serving.signature import Arrays

Run = Callable[[Arrays], Arrays]
ROWS = 3
TOLERANCE = TOLERANCES["f32"]  # in bfloat16 too: batches of 1 to 16 rows were seen to give the same bits


class Independence:
    """What is known of one signature and set of outputs. `reason` says why its requests run apart, if they do."""

    def __init__(self) -> None:
        self.is_known = False
        self.reason = ""
        self._lock = threading.Lock()

    def learn(self, requests: Sequence[Arrays], run: Run) -> None:
        """Tries random numbers in the requests' shapes, or the requests themselves where the model refuses those.

        Requests that are all alike show nothing; after them as little is known as before.
        """
        with self._lock:
            if self.is_known:
                return
            for trial in (random_requests(requests[0]), requests):
                if all(equal(request, trial[0]) for request in trial):
                    continue
                try:
                    apart = [run(request) for request in trial]
                    self.reason = uneven(apart) or difference(joined(apart), run(joined(trial)))
                    self.is_known = True
                    return
                except ServingError:  # indices out of range, images that do not decode
                    continue


def joined(parts: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def random_requests(like: Arrays) -> list[Arrays]:
    """Rows of random numbers in the shapes of `like`; `like` itself where it is not of numbers."""
    if any(array.dtype.kind not in "fiu" for array in like.values()):
        return [like]
    random = np.random.default_rng(0)
    return [
        {name: draw(random, (1, *array.shape[1:]), array.dtype) for name, array in like.items()} for _ in range(ROWS)
    ]


def equal(one: Arrays, other: Arrays) -> bool:
    return all(np.array_equal(array, other[name]) for name, array in one.items())


def uneven(answers: Sequence[Arrays]) -> str:
    """The output whose rows are not of one shape over all requests, if there is one: no batch can hold them."""
    for name in answers[0]:
        shapes = {answer[name].shape[1:] if answer[name].ndim else None for answer in answers}
        if len(shapes) > 1 or None in shapes:
            return f"output {name!r} of each request has a shape of its own"
    return ""


def difference(apart: Arrays, together: Arrays) -> str:
    """How a batch's answers differ from those of its rows; empty where they do not."""
    for name, want in apart.items():
        have = together[name]
        if want.shape != have.shape:
            return f"output {name!r} has the shape {list(have.shape)} in a batch, {list(want.shape)} apart"
        if want.dtype.kind != "f":
            if not np.array_equal(want, have):
                return f"output {name!r} of a row depends on the rows beside it"
            continue
        largest = np.abs(want).max(initial=np.finfo(np.float32).tiny)
        if not np.allclose(want, have, rtol=0, atol=TOLERANCE * largest, equal_nan=True):
            return f"output {name!r} of a row depends on the rows beside it"
    return ""
