"""Arrays to JSON text with TensorFlow Serving's numbers and layout.

Layout: RapidJSON's PrettyWriter, four spaces. "predictions" are written with single-line arrays, "outputs" with every
element on its own line. Objects inside arrays break lines in both.
"""

import base64
import itertools
import json
import math
from collections.abc import Iterator

import ml_dtypes
import numpy as np

from serving.errors import Code, ServingError
from serving.json_numbers import Numbers
from serving.tensor_types import type_name

INDENT = "    "
ECHO_BYTES = 256  # how much of a refused JSON value an error message repeats

_EXACT = {np.dtype(np.float32): "%.9g", np.dtype(np.float64): "%.17g"}  # max_digits10
_HALVES = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))  # six digits always return them
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_ESCAPES = {i: f"\\u{i:04X}" for i in range(0x20)} | {
    0x08: "\\b",
    0x09: "\\t",
    0x0A: "\\n",
    0x0C: "\\f",
    0x0D: "\\r",
    0x22: '\\"',
    0x5C: "\\\\",
}


def decimals(array: np.ndarray) -> list[str]:
    """Every float of `array`: six digits where they give the same float again, else all that it has.

    Whole numbers end in `.0` unless they have an exponent; NaN, Infinity and -Infinity are bare words.
    """
    flat = array.ravel()
    values = tuple(flat.tolist())
    text = "%g " * len(values) % values
    short = text.split()
    if array.dtype in _EXACT:
        same = (np.array(list(map(float, short)), array.dtype) == flat).tolist()
        if not all(same):
            full = (f"{_EXACT[array.dtype]} " * len(values) % values).split()
            short = [s if fits else f for s, f, fits in zip(short, full, same, strict=True)]
    numbers = [n if "." in n or "e" in n or "n" in n else n + ".0" for n in short]
    return [_NOT_FINITE.get(n, n) for n in numbers] if "n" in text else numbers


def string(value: bytes) -> str:
    """A JSON string of `value`; bytes that are not UTF-8 pass as they are (see `encode`)."""
    return '"' + value.decode("utf-8", "surrogateescape").translate(_ESCAPES) + '"'


def encode(text: str) -> bytes:
    """The bytes of `text`, those of `string` that are not UTF-8 included."""
    return text.encode("utf-8", "surrogateescape")


def elements(array: np.ndarray, *, is_base64: bool, depth: int) -> list[str]:
    """One text for each element of `array`; `depth` is how many arrays and objects are open around an element.

    Raises:
        ServingError: INVALID_ARGUMENT where JSON has no form for the dtype (complex numbers).
    """
    kind = array.dtype.kind
    if array.dtype in _EXACT or array.dtype in _HALVES:
        return decimals(array)
    if kind in "iu":
        return list(map(str, array.ravel().tolist()))
    if kind == "b":
        return ["true" if value else "false" for value in array.ravel().tolist()]
    if kind == "O" and is_base64:
        inner, outer = INDENT * (depth + 1), INDENT * depth
        return [
            f'{{\n{inner}"b64": "{base64.b64encode(value).decode()}"\n{outer}}}' for value in array.ravel().tolist()
        ]
    if kind == "O":
        return list(map(string, array.ravel().tolist()))
    raise ServingError(Code.INVALID_ARGUMENT, f"Failed to write JSON value for tensor type: {type_name(array.dtype)}")


def single_line(texts: list[str], shape: tuple[int, ...], first_axis: int) -> list[str]:
    """The elements of an array of `shape` bracketed as `[a, b]` from its last axis to `first_axis`."""
    for axis in range(len(shape) - 1, first_axis - 1, -1):
        count, size, rest = math.prod(shape[:axis]), shape[axis], iter(texts)
        texts = ["[" + ", ".join(itertools.islice(rest, size)) + "]" for _ in range(count)]
    return texts


def multi_line(texts: list[str], shape: tuple[int, ...], depth: int) -> str:
    """The elements of an array of `shape`, one a line; `depth` arrays and objects are open around it."""
    for axis in range(len(shape) - 1, -1, -1):
        count, size, rest = math.prod(shape[:axis]), shape[axis], iter(texts)
        inner, outer = "\n" + INDENT * (depth + axis + 1), "\n" + INDENT * (depth + axis)
        between = "," + inner
        texts = [
            f"[{inner}{between.join(itertools.islice(rest, size))}{outer}]" if size else "[]" for _ in range(count)
        ]
    return texts[0]


def echo(value: object) -> str:
    """`value` as an error message repeats it: JSON, cut at 256 bytes."""
    if isinstance(value, float):
        with np.errstate(over="ignore"):
            single = np.array(value, np.float32)
        return decimals(single if np.isfinite(single) else np.array(value))[0]
    encoder = json.JSONEncoder(indent=4, ensure_ascii=False, default=Numbers.nested)
    return "".join(_first_bytes(encoder.iterencode(value)))


def _first_bytes(parts: Iterator[str]) -> Iterator[str]:
    left = ECHO_BYTES
    for part in parts:
        data = part.encode("utf-8", "surrogateescape")[:left]
        yield data.decode("utf-8", "ignore")
        left -= len(data)
        if left <= 0:
            return
