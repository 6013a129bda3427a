"""Whether another engine answers as TensorFlow does: the same inputs through both, at load."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from serving.errors import ServingError

BATCH_SIZES = (1, 7)  # the second is one that the network pads
TURNS = 17  # rows that the network runs in turns
RANGES = (1, 255, -1, 0)  # of rows that are unlike each other
FREE_SIDES = (64, 224)
# Of the largest value of an output, by what the network multiplies in. 1e-6 and 4e-2 are seen.
TOLERANCES = {"f32": 1e-4, "bf16": 1e-1}

Arrays = Sequence[np.ndarray]


class UnequalError(Exception):
    """How the answers differ, or why they cannot be compared; the message is part of a log line."""


class Network(Protocol):
    """Arrays to arrays by position; `shapes` and `dtypes` are those of the inputs, `precision` a key of TOLERANCES."""

    @property
    def precision(self) -> str: ...

    @property
    def shapes(self) -> Sequence[tuple[int | None, ...] | None]: ...

    @property
    def dtypes(self) -> Sequence[np.dtype]: ...

    def run(self, arrays: Arrays) -> list[np.ndarray]: ...


def check(network: Network, reference: Callable[[Arrays], Arrays]) -> float:
    """The largest difference over random and extreme inputs and several batch sizes, as a share of the largest value.

    Batches that the network pads or runs in turns are among them, so rows that depend on each other are found out.

    Raises:
        UnequalError: a difference above the tolerance, a refusal by one side, or inputs whose shapes cannot be guessed.
    """
    largest = 0.0
    for arrays in inputs(network, side=accepted_side(network, reference)):
        try:
            expected, found = reference(arrays), network.run(arrays)
        except ServingError as error:
            raise UnequalError(f"the engines cannot be compared: {error}") from error
        for want, have in zip(expected, found, strict=True):
            largest = max(largest, difference(want, have, TOLERANCES[network.precision]))
    return largest


def difference(want: np.ndarray, have: np.ndarray, tolerance: float) -> float:
    if want.shape != have.shape:
        raise UnequalError(f"OpenVINO gives the shape {list(have.shape)} where TensorFlow gives {list(want.shape)}")
    if not np.array_equal(np.isfinite(want), np.isfinite(have)):
        raise UnequalError("OpenVINO gives finite numbers where TensorFlow does not, or the other way round")
    finite = np.isfinite(want)
    largest = np.abs(want, where=finite, out=np.zeros_like(want)).max(initial=np.finfo(np.float32).tiny)
    share = float(np.abs(want - have, where=finite, out=np.zeros_like(want)).max(initial=0) / largest)
    if share > tolerance:
        raise UnequalError(f"OpenVINO differs from TensorFlow by {share:.0e} of the largest value")
    return share


def accepted_side(network: Network, reference: Callable[[Arrays], Arrays]) -> int:
    """What to put for free dimensions after the first: the first of FREE_SIDES that TensorFlow takes."""
    if any(shape is None for shape in network.shapes):
        raise UnequalError("the rank of an input of its network is not known")
    if all(None not in shape[1:] for shape in network.shapes if shape):
        return 0
    for side in FREE_SIDES:
        try:
            reference(next(inputs(network, side)))
        except ServingError:
            continue
        return side
    raise UnequalError(f"TensorFlow takes none of {', '.join(map(str, FREE_SIDES))} for its free dimensions")


def inputs(network: Network, side: int) -> Iterator[list[np.ndarray]]:
    random = np.random.default_rng(0)

    def batch(rows: int, fill: Callable[[tuple[int, ...], np.dtype], np.ndarray]) -> list[np.ndarray]:
        kinds = zip(network.shapes, network.dtypes, strict=True)
        return [fill(full(shape, rows, side), dtype) for shape, dtype in kinds]

    for rows in BATCH_SIZES:
        yield batch(rows, lambda shape, dtype: draw(random, shape, dtype))
    yield batch(TURNS, lambda shape, dtype: draw_unlike(random, shape, dtype))
    yield batch(1, lambda shape, dtype: np.full(shape, extremes(dtype)[0], dtype))
    yield batch(1, lambda shape, dtype: np.full(shape, extremes(dtype)[1], dtype))


def full(shape: tuple[int | None, ...] | None, rows: int, side: int) -> tuple[int, ...]:
    return tuple((rows if axis == 0 else side) if dim is None else dim for axis, dim in enumerate(shape or ()))


def draw(random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return random.random(shape, np.float32).astype(dtype)
    least, greatest = extremes(dtype)
    return random.integers(least, greatest, shape, dtype, endpoint=True)


def draw_unlike(random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Rows in ranges that differ from one to the next: what is taken over all of them shows."""
    drawn = draw(random, shape, dtype)
    if not shape:
        return drawn
    of_each_row = (-1, *(1,) * (len(shape) - 1))
    if dtype.kind == "f":
        return (drawn * np.resize(RANGES, len(drawn)).reshape(of_each_row)).astype(dtype)
    if dtype.kind == "b":
        return np.broadcast_to(np.resize((True, False), len(drawn)).reshape(of_each_row), shape)
    drawn[::2] %= 2
    return drawn


def extremes(dtype: np.dtype) -> tuple[int, int]:
    """The least and greatest pixel of the dtype; wider integers are only cast and compared, for which 255 is enough."""
    if dtype.kind == "b":
        return False, True
    if dtype.itemsize <= 2:
        return np.iinfo(dtype).min, np.iinfo(dtype).max
    return 0, 255
