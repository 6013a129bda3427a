"""Whether the rows of a signature can be run together: the answers of a batch against those of its requests apart."""

import threading
from collections.abc import Callable, Sequence

import numpy as np

from serving.engine_check import TOLERANCES, draw_unlike
from serving.errors import Code, ServingError
from serving.signature import Arrays

Run = Callable[[Arrays], Arrays]
TEXTS = (b"a", b"b c d e f", b"", b"g h")
LEAST_SHARE = 0.01  # of the largest answer: what smaller answers are compared by
MOST_OVERDUE = 2  # trials that end at their deadline: the first run of all may be a compilation
TOLERANCE = TOLERANCES["f32"]  # in bfloat16 too: batches of 1 to 16 rows were seen to give the same bits


class Independence:
    """What is known of one signature and set of outputs. `reason` says why its requests run apart, if they do."""

    def __init__(self) -> None:
        self.is_known = False
        self.reason = ""
        self._overdue = 0
        self._lock = threading.Lock()

    def refuse(self, reason: str) -> None:
        """From now on requests run apart."""
        with self._lock:
            self.is_known, self.reason = True, reason

    def learn(self, requests: Sequence[Arrays], run: Run) -> None:
        """Tries random values in the requests' shapes, then the requests themselves.

        Values that the model refuses, and requests that are all alike, show nothing; after only such, as little is
        known as before.
        """
        with self._lock:
            if self.is_known:
                return
            reasons = []
            for trial in (random_requests(requests[0]), requests):
                if not all(equal(request, trial[0]) for request in trial):
                    reasons += self._tried(trial, run)
                if any(reasons):
                    break
            if reasons:
                self.reason, self.is_known = reasons[-1], True  # in this order: others look without the lock

    def _tried(self, trial: Sequence[Arrays], run: Run) -> list[str]:
        """Why the requests of `trial` run apart, "" where they need not; nothing where it does not show."""
        try:
            apart = [run(request) for request in trial]
            return [uneven(apart) or difference(joined(apart), run(joined(trial)))]
        except ServingError as error:  # indices out of range, images that do not decode
            self._overdue += error.code is Code.DEADLINE_EXCEEDED
            return ["trials take too long"] if self._overdue >= MOST_OVERDUE else []


def joined(parts: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def random_requests(like: Arrays) -> list[Arrays]:
    """Rows in the shapes of `like`, each unlike the others: numbers of several ranges, all true or false, texts of
    several lengths."""
    random = np.random.default_rng(0)

    def rows(array: np.ndarray) -> np.ndarray:
        shape = (len(TEXTS), *array.shape[1:])
        if array.dtype != object:
            return draw_unlike(random, shape, array.dtype)
        return np.broadcast_to(np.array(TEXTS, object).reshape(-1, *(1,) * (array.ndim - 1)), shape)

    made = {name: rows(array) for name, array in like.items()}
    return [{name: array[k : k + 1] for name, array in made.items()} for k in range(len(TEXTS))]


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
        sizes = np.abs(np.where(np.isfinite(want), want, 0)).astype(np.float64)
        each = sizes.max(axis=tuple(range(1, want.ndim)), keepdims=True, initial=np.finfo(np.float32).tiny)
        each = np.maximum(each, LEAST_SHARE * each.max(initial=0))
        if not np.allclose(want / each, have / each, rtol=0, atol=TOLERANCE, equal_nan=True):
            return f"output {name!r} of a row depends on the rows beside it"
    return ""
