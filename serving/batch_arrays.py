"""Joining the arrays of requests to a batch and splitting its answers, by TensorFlow Serving's rules and in its words.

Source: batching_session.cc and batching_util.cc of TensorFlow Serving.
"""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from serving.errors import Code, ServingError
from serving.model_config import BatchingParameters
from serving.servable import Cancellable
from serving.signature import Arrays


def rows(inputs: Arrays) -> int | None:
    """The request's size; None where the inputs disagree on it or one has none."""
    sizes = {len(array) if array.ndim else None for array in inputs.values()}
    return sizes.pop() if len(sizes) == 1 else None


def without_rows(inputs: Arrays) -> ServingError:
    """What to refuse inputs with for which `rows` is None."""
    if any(array.ndim == 0 for array in inputs.values()):
        return ServingError(Code.INVALID_ARGUMENT, "Batching Run() input tensors must have at least one dimension")
    return ServingError(Code.INVALID_ARGUMENT, "Batching Run() input tensors must have equal 0th-dimension size")


def part(arrays: Arrays, start: int, stop: int) -> Arrays:
    return {name: array[start:stop] for name, array in arrays.items()}


def join(requests: Sequence[Arrays], rules: BatchingParameters) -> Arrays:
    """One batch of all rows in order, padded up to one of the allowed sizes with copies of its first row.

    Raises:
        ServingError: FAILED_PRECONDITION where the rows differ in shape and the rules do not pad them.
    """
    joined = {}
    for name, first in requests[0].items():
        arrays = [request[name] for request in requests]
        if any(array.shape[1:] != first.shape[1:] for array in arrays):
            arrays = with_equal_rows(name, arrays, rules)
        size = sum(len(array) for array in arrays)
        missing = next((allowed for allowed in rules.allowed_batch_sizes if allowed >= size), size) - size
        if missing:
            arrays.append(np.repeat(next((array for array in arrays if len(array)), arrays[0])[:1], missing, axis=0))
        joined[name] = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return joined


def with_equal_rows(name: str, arrays: Sequence[np.ndarray], rules: BatchingParameters) -> list[np.ndarray]:
    if not rules.pad_variable_length_inputs:
        raise ServingError(
            Code.FAILED_PRECONDITION,
            f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off. "
            "Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal "
            "dimensions starting with the first dim.",
        )
    if len({array.ndim for array in arrays}) > 1:
        raise ServingError(
            Code.INVALID_ARGUMENT, f"Tensors with name '{name}' from different tasks have different ranks."
        )
    longest = [max(sizes) for sizes in zip(*(array.shape[1:] for array in arrays), strict=True)]
    fill = b"" if arrays[0].dtype == object else arrays[0].dtype.type(0)
    padded = [np.full((len(array), *longest), fill, array.dtype) for array in arrays]
    for array, target in zip(arrays, padded, strict=True):
        target[tuple(slice(size) for size in array.shape)] = array
    return padded


def split(outputs: Arrays, sizes: Sequence[int], total: int) -> list[Arrays]:
    """The answers of requests with these sizes to a batch of `total` rows; what is left over is padding.

    Raises:
        ServingError: FAILED_PRECONDITION where an output does not have a row for each of the batch's.
    """
    ends = list(itertools.accumulate(sizes))
    for name, array in outputs.items():
        if array.ndim == 0:
            raise ServingError(Code.FAILED_PRECONDITION, f"Batched output tensor '{name}' has 0 dimensions")
        if len(array) != total:
            raise ServingError(
                Code.FAILED_PRECONDITION,
                f"Batched output tensor '{name}' has {len(array)} rows: its 0th dimension does not equal the sum of "
                "the 0th dimension sizes of the input tensors",
            )
    return [part(outputs, end - size, end) for size, end in zip(sizes, ends, strict=True)]


class Pieces:
    """A request run in several batches: each piece is told its answer, and the last one tells the whole.

    Attributes:
        waiting: the pieces' own requests, once they are made; all are cancelled with the whole.
    """

    def __init__(self, count: int, done: Callable[[Arrays | ServingError], None]) -> None:
        self.waiting: Sequence[Cancellable] = ()
        self._answers: list[Arrays | ServingError | None] = [None] * count
        self._done = done
        self._left = count
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Callable[[Arrays | ServingError], None]]:
        for i in range(len(self._answers)):
            yield lambda answer, i=i: self._tell(i, answer)  # type: ignore[misc]

    def cancel(self) -> None:
        for waiting in self.waiting:
            waiting.cancel()

    def _tell(self, i: int, answer: Arrays | ServingError) -> None:
        with self._lock:
            self._answers[i] = answer
            self._left -= 1
            if self._left:
                return
        failed = next((answer for answer in self._answers if isinstance(answer, ServingError)), None)
        parts = [answer for answer in self._answers if isinstance(answer, dict)]
        self._done(failed or rejoined(parts))


def rejoined(parts: Sequence[Arrays]) -> Arrays | ServingError:
    try:
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    except ValueError as error:
        return ServingError(Code.INTERNAL, f"The parts of the request have answers that do not fit together: {error}.")
