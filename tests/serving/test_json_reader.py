import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import json_reader
from serving.errors import Code, ServingError


def refusal(body):
    with pytest.raises(ServingError) as caught:
        json_reader.parse(body)
    return caught.value


# Every line was held against RapidJSON 1.1.0 with the flags that TensorFlow Serving sets.


@pytest.mark.parametrize(
    "body, message",
    [
        (b"  ", "The document is empty. at offset: 2"),
        (b"]", "The document is empty. at offset: 0"),
        (b"nul", "Invalid value. at offset: 3"),
        (b"tru e", "Invalid value. at offset: 3"),
        (b"[1, 2", "Missing a comma or ']' after an array element. at offset: 5"),
        (b"[1 2]", "Missing a comma or ']' after an array element. at offset: 3"),
        (b"[01]", "Missing a comma or ']' after an array element. at offset: 2"),
        (b"[1,]", "Invalid value. at offset: 3"),
        (b"[,1]", "Invalid value. at offset: 1"),
        (b"[", "Invalid value. at offset: 1"),
        (b"[+1]", "Invalid value. at offset: 1"),
        (b"[-]", "Invalid value. at offset: 2"),
        (b"[.5]", "Invalid value. at offset: 1"),
        (b"[1.]", "Miss fraction part in number. at offset: 3"),
        (b"[1e]", "Miss exponent in number. at offset: 3"),
        (b"[1e+]", "Miss exponent in number. at offset: 4"),
        (b"[NaN, 1e400]", "Number too big to be stored in double. at offset: 6"),
        (b"[1, 1e400]", "Number too big to be stored in double. at offset: 4"),
        (b"[Nan]", "Invalid value. at offset: 3"),
        (b"[Infinite]", "Invalid value. at offset: 8"),
        (b"{", "Missing a name for object member. at offset: 1"),
        (b"{1: 2}", "Missing a name for object member. at offset: 1"),
        (b'{"a": 1,}', "Missing a name for object member. at offset: 8"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        (b'{"a":}', "Invalid value. at offset: 5"),
        (b'{"a": 1 "b": 2}', "Missing a comma or '}' after an object member. at offset: 8"),
        (b'{"a": 1', "Missing a comma or '}' after an object member. at offset: 7"),
        (b'["a', "Missing a closing quotation mark in string. at offset: 3"),
        (b'["a\\x"]', "Invalid escape character in string. at offset: 3"),
        (b'["a\nb"]', "Invalid escape character in string. at offset: 3"),
        (b'["\\u12g4"]', "Incorrect hex digit after \\u escape in string. at offset: 2"),
        (b'["\\ud800 "]', "The surrogate pair in string is invalid. at offset: 2"),
        (b'["\\ud800\\u0041"]', "The surrogate pair in string is invalid. at offset: 2"),
    ],
)
def test_refusals_are_rapidjsons(body, message):
    error = refusal(body)
    assert (error.code, error.message) == (Code.INVALID_ARGUMENT, f"JSON Parse error: {message}")


def test_large_body_is_refused_without_reading_it_exactly():
    error = refusal(b'{"instances": [' + b"1," * 2**20)
    assert error.message.startswith("JSON Parse error: ")
    assert error.message.endswith(f" at offset: {15 + 2 * 2**20}")


def test_no_body_has_no_offset():
    assert refusal(b"").message == "JSON Parse error: The document is empty"


def test_lists_may_not_nest_without_end():
    assert refusal(b"[" * 2000).message == "JSON Parse error: Nested deeper than 250 lists and objects. at offset: 251"


@pytest.mark.parametrize(
    "body, value",
    [
        (b"[-Infinity, Infinity, -Inf, Inf]", [-math.inf, math.inf, -math.inf, math.inf]),
        (b'{"a": [1, 2]} trailing', {"a": [1, 2]}),
        (b"[1][2]", [1]),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),  # a byte order mark
        (b'["\xff", Inf]', ["\udcff", math.inf]),  # not UTF-8
        (b'["\\ud83d\\ude00 \\u00e9\\/\\b\\n", Inf]', ["\U0001f600 é/\b\n", math.inf]),
        (b"[18446744073709551615, 18446744073709551616, Inf]", [2**64 - 1, 18446744073709551616.0, math.inf]),
        (b"[-9223372036854775808, -9223372036854775809, Inf]", [-(2**63), -9223372036854775808.0, math.inf]),
        (
            b"[-0, 0, 1E2, 1.5e-3, true, false, null, {}, [], Inf]",
            [0, 0, 100, 0.0015, True, False, None, {}, [], math.inf],
        ),
    ],
)
def test_reads_what_strict_json_is_not(body, value):
    parsed = json_reader.parse(body)
    assert parsed == value
    assert repr(parsed) == repr(value).replace("100,", "100.0,")


@pytest.mark.parametrize("body", [b"[NaN]", b"[-NaN]"])
def test_reads_nan(body):
    assert math.isnan(json_reader.parse(body)[0])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_reads_what_pythons_json_writes(value, indent, ensure_ascii):
    body = json.dumps([value, math.nan], indent=indent, ensure_ascii=ensure_ascii).encode()
    assert repr(json_reader.parse(body)) == repr([value, math.nan])
