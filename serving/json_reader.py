"""JSON text to Python values, as TensorFlow Serving's parser reads it.

RapidJSON 1.1.0 with TensorFlow Serving's flags (iterative, NaN and Inf, stop when done) accepts more than JSON: NaN and
Infinity, bytes after the first value, a byte order mark, bytes that are not UTF-8. `parse` asks three readers:
orjson; Python's own, which is a fifth as fast and knows most of that; and the one below, which knows all of it and
refuses in RapidJSON's words, at about a microsecond a value. Strings keep bytes that are not UTF-8 as `surrogateescape`
does; half a surrogate pair is refused, which RapidJSON 1.1.0 lets pass where it is the second half.
"""

import json
import math
import re
from typing import Any, NoReturn

import orjson

from serving.errors import Code, ServingError

MAX_DEPTH = 250  # lists and objects inside each other; orjson itself goes to 1024, a tensor to 64
EXACT_BYTES = 1 << 20  # up to here a refusal may take the time that RapidJSON's words cost

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SPACE = re.compile(rb"[ \n\r\t]*")
_INTEGER = re.compile(rb"-?(?:0|[1-9][0-9]*)")
_FRACTION = re.compile(rb"\.([0-9]*)")
_EXPONENT = re.compile(rb"[eE][+-]?([0-9]*)")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_HEX = re.compile(rb"[0-9a-fA-F]{4}")
_LITERALS: dict[bytes, tuple[bytes, Any]] = {b"t": (b"true", True), b"f": (b"false", False), b"n": (b"null", None)}
_ESCAPES = {
    b'"': b'"',
    b"\\": b"\\",
    b"/": b"/",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
}


def parse(body: bytes) -> Any:
    """The first JSON value of `body`.

    Raises:
        ServingError: INVALID_ARGUMENT `JSON Parse error: <RapidJSON's words> at offset: <byte>`; orjson's words where
            the body is larger than `EXACT_BYTES`.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        refusal = error
    if not _SURROGATE.search(body):
        try:
            return _parse_leniently(body)
        except (ValueError, RecursionError):
            pass
    if len(body) > EXACT_BYTES:
        _refuse(f"{refusal.msg}.", refusal.pos)
    return _read(body)


def _parse_leniently(body: bytes) -> Any:
    text = body.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    return _PYTHONS.raw_decode(text, len(text) - len(text.lstrip(" \n\r\t")))[0]


def _integer(digits: str) -> int | float:
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else _decimal(digits)


def _decimal(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(digits)
    return value


_PYTHONS = json.JSONDecoder(parse_int=_integer, parse_float=_decimal)


def _read(body: bytes) -> Any:
    if not body:
        raise ServingError(Code.INVALID_ARGUMENT, "JSON Parse error: The document is empty")
    at = _skip(body, 3 if body.startswith(b"\xef\xbb\xbf") else 0)
    if body[at : at + 1] in (b"", b"\0", b",", b":", b"]", b"}"):
        _refuse("The document is empty.", at)
    return _value(body, at, 0)[0]


def _refuse(reason: str, at: int) -> NoReturn:
    raise ServingError(Code.INVALID_ARGUMENT, f"JSON Parse error: {reason} at offset: {at}")


def _skip(text: bytes, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]


def _value(text: bytes, at: int, depth: int) -> tuple[Any, int]:
    first = text[at : at + 1]
    if depth > MAX_DEPTH:
        _refuse(f"Nested deeper than {MAX_DEPTH} lists and objects.", at)
    if first == b"[":
        return _list(text, _skip(text, at + 1), depth)
    if first == b"{":
        return _object(text, _skip(text, at + 1), depth)
    if first == b'"':
        return _string(text, at + 1)
    if first in _LITERALS:
        return _literal(text, at, *_LITERALS[first])
    return _number(text, at)


def _list(text: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    if text[at : at + 1] == b"]":
        return values, at + 1
    while True:
        value, at = _value(text, at, depth + 1)
        values.append(value)
        at = _skip(text, at)
        mark = text[at : at + 1]
        if mark == b"]":
            return values, at + 1
        if mark != b",":
            _refuse("Missing a comma or ']' after an array element.", at)
        at = _skip(text, at + 1)


def _object(text: bytes, at: int, depth: int) -> tuple[dict[str, Any], int]:
    members: dict[str, Any] = {}
    if text[at : at + 1] == b"}":
        return members, at + 1
    while True:
        if text[at : at + 1] != b'"':
            _refuse("Missing a name for object member.", at)
        name, at = _string(text, at + 1)
        at = _skip(text, at)
        if text[at : at + 1] != b":":
            _refuse("Missing a colon after a name of object member.", at)
        members[name], at = _value(text, _skip(text, at + 1), depth + 1)
        at = _skip(text, at)
        mark = text[at : at + 1]
        if mark == b"}":
            return members, at + 1
        if mark != b",":
            _refuse("Missing a comma or '}' after an object member.", at)
        at = _skip(text, at + 1)


def _string(text: bytes, at: int) -> tuple[str, int]:
    parts: list[bytes] = []
    while True:
        plain = _PLAIN.match(text, at)
        parts.append(plain.group())  # type: ignore[union-attr]
        at = plain.end()  # type: ignore[union-attr]
        mark = text[at : at + 1]
        if mark == b'"':
            return b"".join(parts).decode("utf-8", "surrogateescape"), at + 1
        if mark in (b"", b"\0"):
            _refuse("Missing a closing quotation mark in string.", at)
        if mark != b"\\":
            _refuse("Invalid escape character in string.", at)
        escape = text[at + 1 : at + 2]
        if escape in _ESCAPES:
            parts.append(_ESCAPES[escape])
            at += 2
        elif escape == b"u":
            character, end = _unicode(text, at)
            parts.append(character.encode())
            at = end
        else:
            _refuse("Invalid escape character in string.", at)


def _unicode(text: bytes, at: int) -> tuple[str, int]:
    code, end = _hex(text, at + 2, at), at + 6
    if 0xD800 <= code <= 0xDBFF and text[end : end + 2] == b"\\u":
        low = _hex(text, end + 2, at)
        if 0xDC00 <= low <= 0xDFFF:
            return chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)), end + 6
    if 0xD800 <= code <= 0xDFFF:
        _refuse("The surrogate pair in string is invalid.", at)
    return chr(code), end


def _hex(text: bytes, at: int, escape_at: int) -> int:
    digits = _HEX.match(text, at)
    if not digits:
        _refuse("Incorrect hex digit after \\u escape in string.", escape_at)
    return int(digits.group(), 16)


def _literal(text: bytes, at: int, word: bytes, value: Any) -> tuple[Any, int]:
    end = _agrees(text, at, word)
    if end < at + len(word):
        _refuse("Invalid value.", end)
    return value, end


def _agrees(text: bytes, at: int, word: bytes) -> int:
    """Where `text` at `at` stops spelling `word`."""
    length = next((n for n, byte in enumerate(word) if text[at + n : at + n + 1] != bytes([byte])), len(word))
    return at + length


def _number(text: bytes, at: int) -> tuple[int | float, int]:
    integer = _INTEGER.match(text, at)
    if not integer:
        return _not_finite(text, at)
    end, decimal = integer.end(), False
    for part, missing in ((_FRACTION, "Miss fraction part in number."), (_EXPONENT, "Miss exponent in number.")):
        match = part.match(text, end)
        if match:
            end, decimal = match.end(), True
            if not match.group(1):
                _refuse(missing, end)
    digits = text[at:end]
    if not decimal and len(digits) <= 20 and -(2**63) <= int(digits) < 2**64:
        return int(digits), end
    value = float(digits)
    if math.isinf(value):
        _refuse("Number too big to be stored in double.", at)
    return value, end


def _not_finite(text: bytes, at: int) -> tuple[float, int]:
    sign = 1 if text[at : at + 1] == b"-" else 0
    first = text[at + sign : at + sign + 1]
    word = b"NaN" if first == b"N" else b"Inf"
    end = _agrees(text, at + sign, word)
    if end < at + sign + 3:
        _refuse("Invalid value.", end)
    if word == b"NaN":
        return float("nan"), end
    if text[end : end + 1] == b"i":
        full = _agrees(text, end, b"inity")
        if full < end + 5:
            _refuse("Invalid value.", full)
        end = full
    return float("-inf") if sign else float("inf"), end
