"""Nested JSON lists to arrays: by whole lists where nothing is wrong, element by element where something may be.

`dense` is the whole-list way; it answers None at the first doubt and refuses nothing. `Builder` is TensorFlow
Serving's own way, one element after the other, and has the words of every refusal.
"""

import binascii
import itertools
import math
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from serving.errors import Code, ServingError
from serving.json_numbers import MAX_RANK, Numbers
from serving.json_writer import echo
from serving.signature import shape_text
from serving.tensor_types import type_name

_FLOATS = frozenset(map(np.dtype, (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)))
_INT32 = (-(2**31), 2**31 - 1)
_INTEGERS: dict[np.dtype, tuple[int, int]] = {
    # The first four take any int32: it goes through int_val, and 300 for uint8 becomes 44, as a TensorProto's would.
    np.dtype(np.int8): _INT32,
    np.dtype(np.uint8): _INT32,
    np.dtype(np.int16): _INT32,
    np.dtype(np.int32): _INT32,
    np.dtype(np.int64): (-(2**63), 2**63 - 1),
    np.dtype(np.uint32): (0, 2**32 - 1),
    np.dtype(np.uint64): (0, 2**64 - 1),
}
_NARROW = frozenset(map(np.dtype, (np.int8, np.uint8, np.int16)))
_BOOL, _STRING = np.dtype(np.bool_), np.dtype(np.object_)
_TYPES: dict[np.dtype, frozenset[type]] = {
    **dict.fromkeys(_FLOATS, frozenset((int, float))),
    **dict.fromkeys(_INTEGERS, frozenset((int,))),
    _BOOL: frozenset((bool,)),
    _STRING: frozenset((str,)),
}
_NAMES = {type(None): "Null", dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}


def refuse(message: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, message)


def nested(value: Any) -> Any:
    """`value` with `Numbers` as nested lists."""
    return value.nested() if type(value) is Numbers else value


def is_base64(value: Any) -> bool:
    """Whether `value` is `{"b64": "<text>"}`, which is one string and no object."""
    return type(value) is dict and len(value) == 1 and type(value.get("b64")) is str


def decode_base64(value: dict[str, str]) -> bytes:
    """The bytes of `{"b64": ...}`: standard alphabet, spaces skipped, padding optional."""
    text = value["b64"]
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        packed = "".join(text.split()).rstrip("=")
    try:
        return binascii.a2b_base64(packed + "=" * (-len(packed) % 4), strict_mode=True)
    except ValueError:
        raise refuse("Unable to base64 decode") from None


def json_type(value: Any) -> str:
    """RapidJSON's name of a value's type: Null, True, False, Object, Array, String or Number."""
    return str(value) if type(value) is bool else _NAMES[type(value)]


def dense(value: Any, dtype: np.dtype) -> np.ndarray | None:
    """`value`, a scalar, nested lists or `Numbers`, as an array of `dtype`; None where `Builder` has to look."""
    if type(value) is Numbers:
        return _pack_known(value.values, {int} if value.is_whole else {int, float}, value.shape, dtype)
    types, shape, level = {type(value)}, [], [value]
    while types == {list}:
        sizes = set(map(len, level))
        if len(sizes) != 1:
            return None
        shape.append(sizes.pop())
        level = list(itertools.chain.from_iterable(level))
        types = set(map(type, level))
    return _pack_known(level, types, tuple(shape), dtype)


def _pack_known(values: list[Any], types: set[type], shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    if not types <= _TYPES.get(dtype, frozenset()) or len(shape) > MAX_RANK:
        return None
    try:
        return pack(values, dtype).reshape(shape)
    except (OverflowError, TypeError, UnicodeEncodeError):
        return None


def pack(values: list[Any], dtype: np.dtype) -> np.ndarray:
    """An array [len(values)] of `dtype`; integers narrower than 32 bits wrap as they do out of a TensorProto.

    Raises:
        OverflowError: an integer is outside int32 (narrow types) or its own dtype.
    """
    if dtype == np.uint8:
        try:
            return np.frombuffer(bytearray(values), np.uint8)  # a sixth of np.array's time
        except ValueError:
            pass
    if dtype in _NARROW:
        return np.array(values, np.int32).astype(dtype)
    if dtype == _STRING:
        packed = np.empty(len(values), np.object_)
        packed[:] = [v if type(v) is bytes else v.encode("utf-8", "surrogateescape") for v in values]
        return packed
    with np.errstate(over="ignore"):
        if dtype == ml_dtypes.bfloat16:
            return np.array(values, np.float64).astype(dtype)  # which takes no integer beyond int64 itself
        return np.array(values, dtype)


class Builder(NamedTuple):
    """One input's rows while they arrive: flat values of each and the shape that all must have."""

    dtype: np.dtype
    rows: list[list[Any] | np.ndarray]
    shapes: list[tuple[int, ...]]

    def add(self, item: Any) -> None:
        """Appends one row: a scalar, nested lists, or an array of pixels.

        Raises:
            ServingError: INVALID_ARGUMENT or UNIMPLEMENTED in TensorFlow Serving's words.
        """
        shape = item.shape if isinstance(item, np.ndarray) else _first_shape(item)
        values: list[Any] = []
        if not isinstance(item, np.ndarray):
            self._fill(item, shape, 0, values)
        if self.shapes and shape != self.shapes[0]:
            size, expected = math.prod(shape), math.prod(self.shapes[0])
            if size != expected:
                raise refuse(f"Expecting tensor size: {expected} but got: {size}")
            raise refuse(f"Expecting shape {shape_text(self.shapes[0])} but got: {shape_text(shape)}")
        self.rows.append(item if isinstance(item, np.ndarray) else values)
        self.shapes.append(shape)

    def array(self) -> np.ndarray:
        """All rows: [number of rows, ...]."""
        if all(isinstance(row, np.ndarray) for row in self.rows):
            return np.stack(self.rows).astype(self.dtype, copy=False)
        lists = (row.ravel().tolist() if isinstance(row, np.ndarray) else row for row in self.rows)
        values = list(itertools.chain.from_iterable(lists))
        return pack(values, self.dtype).reshape((len(self.rows), *self.shapes[0]))

    def _fill(self, value: Any, shape: tuple[int, ...], level: int, values: list[Any]) -> None:
        rank = len(shape)
        if type(value) is not list:
            if level != rank:
                raise refuse(
                    f"JSON Value: {echo(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                    f"Expected at level: {rank}"
                )
            values.append(_element(value, self.dtype))
            return
        if level >= rank:
            raise refuse(f"Encountered list at unexpected level: {level} expected < {rank}")
        if len(value) != shape[level]:
            raise refuse(
                f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
            )
        for item in value:
            self._fill(item, shape, level + 1, values)


def _first_shape(value: Any) -> tuple[int, ...]:
    shape: list[int] = []
    while type(value) is list:
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    if len(shape) >= MAX_RANK:
        raise refuse(f"Lists are nested {len(shape)} deep; a tensor has at most {MAX_RANK - 1} dimensions here.")
    return tuple(shape)


def _element(value: Any, dtype: np.dtype) -> Any:
    if dtype == _STRING and type(value) is dict:
        if not is_base64(value):
            raise refuse(f"JSON Value: {echo(value)} not formatted correctly for base64 data")
        return decode_base64(value)
    if dtype not in _TYPES and type(value) is not dict:
        raise ServingError(Code.UNIMPLEMENTED, f"Conversion of JSON Value: {echo(value)} to type: {type_name(dtype)}")
    if type(value) not in _TYPES.get(dtype, ()) or not _in_range(value, dtype):
        raise refuse(f"JSON Value: {echo(value)} Type: {json_type(value)} is not of expected type: {type_name(dtype)}")
    return value


def _in_range(value: Any, dtype: np.dtype) -> bool:
    if dtype not in _INTEGERS:
        return True
    low, high = _INTEGERS[dtype]
    return low <= value <= high
