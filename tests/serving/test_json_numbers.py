import json

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serving import json_numbers
from serving.json_numbers import Numbers


def plain(document):
    if isinstance(document, Numbers):
        return document.nested()
    if isinstance(document, dict):
        return {key: plain(value) for key, value in document.items()}
    return document


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(3,), (1, 1), (2, 3), (1, 4, 4, 1), (2, 2, 3, 3)])
@pytest.mark.parametrize("write", [lambda value: json.dumps(value).encode(), orjson.dumps])
def test_reads_a_regular_array(shape, dtype, write):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    document = json_numbers.parse(write({"signature_name": "s", "instances": array.tolist()}))
    assert document["signature_name"] == "s"
    assert document["instances"] == Numbers(array.ravel().tolist(), shape, dtype == np.uint8)


@pytest.mark.parametrize(
    "body, where",
    [
        (b'{"instances": [1]}', ("instances",)),
        (b'{"inputs": [1], "signature_name": "s"}', ("inputs",)),
        (b'{"inputs": {"x": [1]}}', ("inputs", "x")),
    ],
)
def test_finds_the_array(body, where):
    document = json_numbers.parse(body)
    for key in where:
        document = document[key]
    assert document == Numbers([1], (1,), True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b"{}",
        b'{"instances": []}',
        b'{"instances": [[]]}',
        b'{"instances": [1, [2]]}',
        b'{"instances": [[1, 2], [3]]}',
        b'{"instances": [[1], 2[]]}',  # a number outside its brackets
        b'{"instances": [[]1, [2]]}',
        b'{"instances": [1 2]}',
        b'{"instances": [1[2]]}',
        b'{"instances": [01]}',
        b'{"instances": [1e400]}',
        b'{"instances": [1,]}',
        b'{"instances": [1,,2]}',
        b'{"instances": [true]}',
        b'{"instances": ["1"]}',
        b'{"instances": [NaN]}',
        b'{"instances": [1]} trailing',
        b'{"instances": [1], "inputs": null}',
        b'{"other": [1]}',
        b'{"instances": [{"x": [1]}, {"x": [2]}]}',
        b'{"instances": ' + b"[" * 65 + b"1" + b"]" * 65 + b"}",
    ],
)
def test_leaves_the_rest_to_the_reader(body):
    assert json_numbers.parse(body) is None


@st.composite
def damaged_bodies(draw):
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    numbers = draw(st.lists(st.sampled_from(["0", "-2", "2.5", "1e3"]), min_size=27, max_size=27))
    array = np.array(numbers, object)[: np.prod(shape)].reshape(shape)
    form = draw(st.sampled_from(['{"instances": %s}', '{"inputs": {"x": %s}}', '{"inputs": %s, "n": 1}']))
    body = form % json.dumps(array.tolist()).replace('"', "")
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.sampled_from(["", *'[],. 1e-"{}'])) + body[at + draw(st.integers(0, 1)) :]
    return body.encode()


@given(damaged_bodies())
@example(b'{"instances": [[1],[2]]}')
def test_what_is_read_is_what_the_whole_parser_reads(body):
    document = json_numbers.parse(body)
    assert document is None or repr(plain(document)) == repr(orjson.loads(body))
