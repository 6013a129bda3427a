import json
import math
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from serving import codec_rest
from serving.classification import Classification
from serving.codec_rest import VersionStatus
from serving.errors import Code, ServingError
from serving.signature import TensorSpec

GOLDEN = Path(__file__).parent / "golden"


def spec(dtype, shape=None):
    return TensorSpec(np.dtype(dtype), shape)


def decode(body, inputs, **options):
    body = body if isinstance(body, bytes) else body.encode()
    return codec_rest.decode_predict(codec_rest.parse(body), inputs, **options)


def decode_one(body, dtype):
    arrays, _ = decode(body, {"x": spec(dtype)})
    return arrays["x"]


def refusal(call, *args, **options):
    with pytest.raises(ServingError) as caught:
        call(*args, **options)
    return caught.value.code, caught.value.message


def golden(name):
    return (GOLDEN / name).read_bytes()


def strings(values):
    array = np.empty(np.shape(values), object)
    array[...] = values
    return array


# Requests that the documentation shows


def test_rows_of_one_input():
    arrays, row_format = decode(golden("predict_rows.request.json"), {"x": spec(np.int32)})
    assert row_format
    assert arrays["x"].tolist() == [[[1, 2]], [[3, 4]]]
    assert arrays["x"].dtype == np.int32


NAMED = {"tag": spec(object), "signal": spec(np.float32), "sensor": spec(np.int64)}


@pytest.mark.parametrize(
    "name, row_format", [("predict_rows_named.request.json", True), ("predict_columns_named.request.json", False)]
)
def test_rows_and_columns_of_named_inputs_give_the_same_arrays(name, row_format):
    arrays, came_as_rows = decode(golden(name), NAMED)
    assert came_as_rows == row_format
    assert arrays["tag"].tolist() == [b"foo", b"bar"]
    assert arrays["signal"].tolist() == [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]]
    assert arrays["sensor"].tolist() == [[[1, 2], [3, 4]], [[4, 5], [6, 8]]]
    assert [arrays[key].dtype for key in NAMED] == [np.dtype(object), np.float32, np.int64]


def test_base64_rows_become_bytes():
    arrays, _ = decode(golden("predict_b64.request.json"), {"x": spec(object)})
    assert arrays["x"].tolist() == [b"hello", b"world"]


@pytest.mark.parametrize(
    "body, dtype, expected",
    [
        ('{"instances": [1.0, 2.0, 5]}', np.float32, [1.0, 2.0, 5.0]),
        ('{"instances": ["a", "é"]}', object, [b"a", "é".encode()]),
        ('{"instances": [[{"b64": "aGVsbG8="}], ["x"]]}', object, [[b"hello"], [b"x"]]),
        ('{"instances": [{"x": 1}, {"x": 2}]}', np.int32, [1, 2]),  # names are optional with one input
        ('{"instances": [{"x": [{"b64": "aGVsbG8="}]}]}', object, [[b"hello"]]),
        ('{"instances": [[], []]}', np.float32, [[], []]),
        ('{"instances": [true, false]}', np.bool_, [True, False]),
        ('{"inputs": 5}', np.int32, 5),
        ('{"inputs": {"b64": "aGVsbG8="}}', object, b"hello"),
        ('{"inputs": [[1, 2], [3, 4]]}', np.uint8, [[1, 2], [3, 4]]),
        ('{"inputs": {"x": [[1, 2], [3, 4]]}}', np.uint8, [[1, 2], [3, 4]]),
        ('{"inputs": {"x": [1], "unknown": [1, [2]]}}', np.int64, [1]),  # extra columns are ignored
        ('{"inputs": []}', np.float32, []),
        ('{"instances": [1]} trailing bytes', np.float32, [1]),
        ('{"instances": [1], "inputs_": 3}', np.float32, [1]),
        ('{"instances": [16777217, 1e300]}', np.float32, [16777216.0, math.inf]),  # any number, as near as it goes
        ('{"instances": [300, -1]}', np.uint8, [44, 255]),  # through int_val, as a TensorProto's values
        ('{"instances": [[300], [40000]]}', np.int16, [[300], [-25536]]),
        ('{"instances": [18446744073709551615]}', np.uint64, [18446744073709551615]),
        ('{"instances": [1, 0.1]}', np.float16, [1.0, float(np.float16(0.1))]),  # ours
        ('{"instances": [1, 0.1]}', ml_dtypes.bfloat16, [1.0, float(ml_dtypes.bfloat16(0.1))]),  # ours
    ],
)
def test_values(body, dtype, expected):
    array = decode_one(body, dtype)
    assert array.dtype == np.dtype(dtype)
    assert array.tolist() == expected
    assert array.shape == np.shape(expected)


@pytest.mark.parametrize("body", ['{"instances": [NaN, Infinity, -Infinity]}', '{"inputs": {"x": [NaN, Inf, -Inf]}}'])
def test_not_finite_numbers_are_bare_words(body):
    np.testing.assert_array_equal(decode_one(body, np.float32), np.array([math.nan, math.inf, -math.inf], np.float32))


# The type table: what each dtype takes and refuses

ACCEPTED = {
    "float": ["1", "1.5", "-0.0", "1e3", "18446744073709551615"],
    "double": ["1", "1.5", "1e-300"],
    "half": ["1", "0.5"],
    "bfloat16": ["1", "0.5", "18446744073709551615"],
    "int8": ["1", "-2147483648", "2147483647"],
    "int16": ["1", "-2147483648", "2147483647"],
    "int32": ["1", "-2147483648", "2147483647"],
    "uint8": ["1", "300", "-1"],
    "int64": ["9223372036854775807", "-9223372036854775808"],
    "uint32": ["0", "4294967295"],
    "uint64": ["0", "18446744073709551615"],
    "bool": ["true", "false"],
    "string": ['"text"', '{"b64": "AA=="}'],
}
REFUSED = {
    "float": ["true", '"1"', "null", '{"b64": "AA=="}'],
    "double": ["false", '"1"', "null"],
    "half": ["true", '"1"'],
    "bfloat16": ["true", '"1"'],
    "int8": ["1.0", "2147483648", "true", '"1"', "null"],
    "int16": ["1.0", "-2147483649", "true"],
    "int32": ["1.0", "1e3", "2147483648", "true", '"1"'],
    "uint8": ["1.0", "2147483648", "true"],
    "int64": ["1.0", "9223372036854775808", "true", '"1"'],
    "uint32": ["-1", "4294967296", "1.0", "true"],
    "uint64": ["-1", "18446744073709551616", "1.0", "true"],
    "bool": ["0", "1", '"true"', "null"],
    "string": ["1", "true", "null"],
}
DTYPES = {"float": np.float32, "double": np.float64, "half": np.float16, "bfloat16": ml_dtypes.bfloat16}
DTYPES |= {"string": object, "bool": np.bool_}


def dtype_named(name):
    return np.dtype(DTYPES.get(name, name))


@pytest.mark.parametrize("name, value", [(name, value) for name, values in ACCEPTED.items() for value in values])
@pytest.mark.parametrize("body", ['{{"instances": [{}]}}', '{{"inputs": {{"x": [[{}]]}}}}'])
def test_dtype_accepts(name, value, body):
    assert decode_one(body.format(value), dtype_named(name)).size == 1


JSON_TYPES = {"t": "True", "f": "False", "n": "Null", '"': "String", "{": "Object"}


@pytest.mark.parametrize("name, value", [(name, value) for name, values in REFUSED.items() for value in values])
def test_dtype_refuses(name, value):
    code, message = refusal(decode_one, f'{{"inputs": [{value}]}}', dtype_named(name))
    kind = JSON_TYPES.get(value[0], "Number")
    assert code is Code.INVALID_ARGUMENT
    assert message.startswith("JSON Value: ")
    assert message.endswith(f" Type: {kind} is not of expected type: {name}")


@pytest.mark.parametrize(
    "value, echo",
    [("1.0", "1.0"), ("0.1", "0.1"), ("1e40", "1e+40"), ("true", "true"), ('"a"', '"a"'), ("NaN", "NaN")],
)
def test_refused_value_is_repeated(value, echo):
    _, message = refusal(decode_one, f'{{"inputs": {value}}}', np.int32)
    assert message.startswith(f"JSON Value: {echo} Type: ")


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_input_is_unimplemented(dtype):
    answer = refusal(decode_one, '{"inputs": [1]}', dtype)
    assert answer == (Code.UNIMPLEMENTED, f"Conversion of JSON Value: 1 to type: {np.dtype(dtype).name}")


# What a body does wrong

INT32 = {"x": spec(np.int32)}
TWO = {"a": spec(np.int32), "b": spec(object)}


@pytest.mark.parametrize(
    "body, inputs, message",
    [
        ("", INT32, "JSON Parse error: The document is empty"),
        ('{"instances": [1}', INT32, "JSON Parse error: Missing a comma or ']' after an array element. at offset: 16"),
        ("[1, 2]", INT32, "JSON Value: [\n    1,\n    2\n] Is not object"),
        ('"text"', INT32, 'JSON Value: "text" Is not object'),
        ("{}", INT32, "Missing 'inputs' or 'instances' key"),
        (
            '{"instances": [1], "inputs": [1]}',
            INT32,
            'JSON Value: {\n    "instances": [\n        1\n    ],\n    "inputs": [\n        1\n    ]\n} Not formatted '
            "correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        (
            '{"instances": 1}',
            INT32,
            "JSON Value: {\n    \"instances\": 1\n} Excepting 'instances' to be an list/array",
        ),
        ('{"instances": []}', INT32, "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
        (
            '{"instances": [1]}',
            TWO,
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        (
            '{"inputs": [1]}',
            TWO,
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        ('{"inputs": {"a": [1]}}', TWO, "Missing named input: b in 'inputs' object."),
        (
            '{"instances": [{"a": 1, "b": "x"}, [1]]}',
            TWO,
            "Expecting object but got list at item 1 of input list",
        ),
        (
            '{"instances": [1, {"x": 1}]}',
            INT32,
            "Expecting value/list but got object at item 1 of input list",
        ),
        (
            '{"instances": [{"a": 1}]}',
            TWO,
            "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"a\": 1\n} "
            "keys must be equal to: a,b",
        ),
        (
            '{"instances": [{"a": 1, "b": "x"}, {"a": 1, "c": "x"}]}',
            TWO,
            "Failed to process element: 1 key: c of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not "
            "have named input: c",
        ),
        (
            '{"instances": [[1, 2], [3, 4], [5, 6, 7]]}',
            INT32,
            "Failed to process element: 2 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 2 but "
            "got: 3",
        ),
        (
            '{"instances": [[1, 2], [3, 4], [[5, 6]]]}',
            INT32,
            "Failed to process element: 2 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [2] but got: "
            "[1,2]",
        ),
        (
            '{"instances": [1, [1]]}',
            INT32,
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [] "
            "but got: [1]",
        ),
        (
            '{"instances": [[[1, 2], [3]]]}',
            INT32,
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Encountered list at unexpected "
            "size: 1 at level: 1 expected size: 2",
        ),
        (
            '{"instances": [{"a": [[1, 2], [3]], "b": "x"}]}',
            TWO,
            "Failed to process element: 0 key: a of 'instances' list. Error: INVALID_ARGUMENT: Encountered list at "
            "unexpected size: 1 at level: 1 expected size: 2",
        ),
        (
            '{"instances": [[1, 2], ["a", "b"]]}',
            INT32,
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"a\" Type: String "
            "is not of expected type: int32",
        ),
        ('{"inputs": [[1, 2], [3]]}', INT32, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ('{"inputs": [1, [2]]}', INT32, "Encountered list at unexpected level: 1 expected < 1"),
        (
            '{"inputs": [[1], 2]}',
            INT32,
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        (
            '{"inputs": {"b64": "%%%"}}',
            {"x": spec(object)},
            "Unable to base64 decode",
        ),
        (
            '{"inputs": [{"b64": "_-8="}]}',  # the url-safe alphabet
            {"x": spec(object)},
            "Unable to base64 decode",
        ),
        (
            '{"inputs": [{"b64": 1}]}',
            {"x": spec(object)},
            'JSON Value: {\n    "b64": 1\n} not formatted correctly for base64 data',
        ),
        ('{"inputs": [1]}', {}, "Failed to get input map for signature: DEFAULT"),
        ('{"inputs": [1], "signature_name": "s"}', {}, "Failed to get input map for signature: s"),
    ],
)
def test_refusals_use_tensorflow_servings_words(body, inputs, message):
    assert refusal(decode, body, inputs) == (Code.INVALID_ARGUMENT, message)


def test_row_of_a_type_without_json_form_is_refused_as_a_row():
    answer = refusal(decode_one, '{"instances": [1]}', np.complex64)
    assert answer == (
        Code.INVALID_ARGUMENT,
        "Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: Conversion of JSON Value: 1 to type: "
        "complex64",
    )


def test_repeated_json_is_cut_at_256_bytes():
    document = codec_rest.parse(json.dumps({"instances": [1] * 1000, "inputs": []}).encode())
    _, message = refusal(codec_rest.decode_predict, document, INT32)
    echo = message.removeprefix("JSON Value: ").removesuffix(
        " Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
    )
    assert len(echo.encode()) == 256


def test_lists_deeper_than_a_tensor_are_refused():
    body = '{"inputs": ' + "[" * 65 + "1" + "]" * 65 + "}"
    code, message = refusal(decode_one, body, np.float32)
    assert code is Code.INVALID_ARGUMENT
    assert message == "Lists are nested 65 deep; a tensor has at most 63 dimensions here."


@pytest.mark.parametrize("text", ["aGVs\nbG8=", "aGVsbG8", " aGVsbG8= "])
def test_base64_may_hold_spaces_and_lack_padding(text):
    assert decode_one(json.dumps({"inputs": {"b64": text}}), object).item() == b"hello"


def test_string_that_is_not_utf8_arrives_as_its_bytes():
    assert decode_one(b'{"instances": ["\xff\xfe"]}', object).tolist() == [b"\xff\xfe"]


@pytest.mark.parametrize("body, name", [('{"signature_name": "s"}', "s"), ("{}", "")])
def test_signature_name(body, name):
    assert codec_rest.signature_name(codec_rest.parse(body.encode())) == name


def test_signature_name_must_be_a_string():
    answer = refusal(codec_rest.signature_name, codec_rest.parse(b'{"signature_name": 5}'))
    assert answer == (
        Code.INVALID_ARGUMENT,
        'JSON Value: {\n    "signature_name": 5\n} not formatted correctly. '
        "'signature_name' key must be a string value.",
    )


# Inputs with defaults may be left out


@pytest.mark.parametrize("body", ['{"instances": [{"a": 1}, {"a": 2}]}', '{"inputs": {"a": [1, 2]}}'])
def test_input_with_a_default_may_be_left_out(body):
    arrays, _ = decode(body, TWO, defaults={"b"})
    assert {name: array.tolist() for name, array in arrays.items()} == {"a": [1, 2]}


def test_rows_must_agree_on_what_they_leave_out():
    _, message = refusal(decode, '{"instances": [{"a": 1}, {"a": 2, "b": "x"}]}', TWO, defaults={"b"})
    assert message.endswith("keys must be equal to: a,b")


# Pictures for inputs of images


def pixels(data, shape, dtype):
    height, width, channels = (size or len(data) for size in shape)
    return np.full((height, width, channels), data[0], dtype)


PICTURES = {"images": spec(np.uint8, (None, 2, 2, 3))}


@pytest.mark.parametrize(
    "body",
    [
        '{"instances": [{"b64": "AQ=="}, {"b64": "Ag=="}]}',
        '{"instances": [{"images": {"b64": "AQ=="}}, {"images": {"b64": "Ag=="}}]}',
        '{"inputs": [{"b64": "AQ=="}, {"b64": "Ag=="}]}',
        '{"inputs": {"images": [{"b64": "AQ=="}, {"b64": "Ag=="}]}}',
    ],
)
def test_pictures_are_decoded(body):
    arrays, _ = decode(body, PICTURES, decode_image=pixels)
    assert arrays["images"].dtype == np.uint8
    assert np.array_equal(arrays["images"], np.broadcast_to([[[[1]]], [[[2]]]], (2, 2, 2, 3)))


def test_one_picture_as_a_column_is_a_batch_of_one():
    arrays, _ = decode('{"inputs": {"b64": "AQ=="}}', PICTURES, decode_image=pixels)
    assert arrays["images"].shape == (1, 2, 2, 3)


def test_pictures_and_pixels_mix():
    row = [[[1, 1, 1], [1, 1, 1]], [[1, 1, 1], [1, 1, 1]]]
    body = json.dumps({"instances": [{"b64": "AQ=="}, row]})
    arrays, _ = decode(body, PICTURES, decode_image=pixels)
    assert arrays["images"].tolist() == [row, row]


def test_picture_of_another_size_is_refused():
    body = '{"instances": [{"b64": "AQ=="}, {"b64": "AQE="}]}'
    _, message = refusal(decode, body, {"images": spec(np.uint8, (None, None, None, 1))}, decode_image=pixels)
    assert message == (
        "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 1 but got: 4"
    )


@pytest.mark.parametrize(
    "shape, decode_image", [((None, 2, 2, 4), pixels), ((None, 2), pixels), (None, pixels), ((None, 2, 2, 3), None)]
)
def test_base64_for_other_numbers_is_a_wrong_type(shape, decode_image):
    inputs = {"images": spec(np.uint8, shape)}
    _, message = refusal(decode, '{"inputs": [{"b64": "AQ=="}]}', inputs, decode_image=decode_image)
    assert message.endswith("Type: Object is not of expected type: uint8")


# Classify and regress


def test_examples_of_a_classify_body():
    examples, context = codec_rest.decode_examples(codec_rest.parse(golden("classify.request.json")))
    assert context == {"query": [b"pizza"], "location": [b"sfo"]}
    first, second = examples
    assert first["image"] == [b"image bytes"]
    assert first["caption"] == [b"seaside"]
    assert first["ratings"][:2] == [8.0, 9.0] and math.isnan(first["ratings"][2]) and first["ratings"][3] == math.inf
    assert first["age"] == [20]
    assert second == {
        "image": [b"awesome image bytes"],
        "caption": [b"mountains"],
        "ratings": [-math.inf],
        "flags": [1, 1, 0],
    }


@pytest.mark.parametrize(
    "body, message",
    [
        (
            '{"a": 1}',
            "JSON Value: {\n    \"a\": 1\n} When method is classify, key 'examples' is expected and was not found",
        ),
        (
            '{"examples": {}}',
            "JSON Value: {\n    \"examples\": {}\n} Expecting 'examples' value to be an list/array",
        ),
        ('{"examples": []}', "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array"),
        ('{"examples": [[]]}', "Example must be JSON object but got JSON Array"),
        ('{"context": [], "examples": [{}]}', "Example must be JSON object but got JSON Array"),
        ('{"examples": [{"n": [10, null]}]}', "Feature: n has element with unexpected JSON type: Null"),
        ('{"examples": [{"n": [10, {"test": 10}]}]}', "Feature: n has element with unexpected JSON type: Object"),
        ('{"examples": [{"n": [[10], 20]}]}', "Feature: n has element with unexpected JSON type: Array"),
        ('{"examples": [{"n": [10, 10.0]}]}', "Unexpected element type in feature: n expecting type: int64"),
        ('{"examples": [{"n": [1.5, 1]}]}', "Unexpected element type in feature: n expecting type: float"),
        ('{"examples": [{"n": ["a", 1]}]}', "Unexpected element type in feature: n expecting type: bytes"),
        ('{"examples": [{"n": 18446744073709551603}]}', "Feature: n has uint64 element. Only int64 is supported."),
        ('{"examples": [{"n": {"b64": "_-8="}}]}', "Unable to base64 decode"),
    ],
)
def test_examples_refusals(body, message):
    answer = refusal(codec_rest.decode_examples, codec_rest.parse(body.encode()))
    assert answer == (Code.INVALID_ARGUMENT, message)


# Replies. The golden files with these names were written by RapidJSON 1.1.0 called as TensorFlow Serving calls it.

BYTES = strings([[b"hello", b"world"], [b"tf", b"serving"]])


@pytest.mark.parametrize(
    "name, outputs",
    [
        ("predict_scalars", {"y": np.array([2.5, 3.0, 4.5], np.float32)}),
        ("predict_vectors", {"y": np.array([[9000000, 999999, 0.5], [0.0003, 0.00003, 555557.5]], np.float32)}),
        ("predict_not_finite", {"y": np.array([[math.nan, math.inf], [3, -math.inf]], np.float32)}),
        ("predict_bytes", {"y_bytes": BYTES}),
        ("predict_bytes_scalars", {"y_bytes": BYTES[0]}),
        ("predict_no_rows", {"y": np.zeros((0, 3), np.float32)}),
        (
            "predict_named",
            {
                "double_scalar_tensor": np.array([8.0, 9.0]),
                "float_tensor": np.array([[1.0], [2.0]], np.float32),
                "int_tensor": np.array([[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 0], [1, 2]]], np.int32),
                "str_tensor": strings([[b"foo", b"bar"], [b"baz", b"bat"]]),
                "str_tensor_bytes": BYTES,
            },
        ),
    ],
)
def test_predictions_to_the_byte(name, outputs):
    assert codec_rest.encode_predict(outputs, True) == golden(f"{name}.response.json")


@pytest.mark.parametrize(
    "name, outputs",
    [
        ("predict_columns", {"y": np.arange(12, dtype=np.int64).reshape(2, 3, 2)}),
        ("predict_columns_scalar", {"y": np.array(0.5, np.float32)}),
        (
            "predict_columns_named",
            {
                "flags": np.array([True, False]),
                "none": np.zeros(0, np.float32),
                "word_bytes": BYTES[0],
                "words": strings(['café "quoted" back\\slash'.encode(), b"tab\tline\nbell\x07/"]),
            },
        ),
    ],
)
def test_outputs_to_the_byte(name, outputs):
    assert codec_rest.encode_predict(outputs, False) == golden(f"{name}.response.json")


def number_of(value):
    return codec_rest.encode_predict({"y": value}, False).decode().split(": ")[1].removesuffix("\n}")


@pytest.mark.parametrize(
    "value, text",
    [
        (np.float32(0.2), "0.2"),  # six digits give it again
        (np.float32(1 / 3), "0.333333343"),  # nine are needed
        (np.float32(1), "1.0"),
        (np.float32(-0.0), "-0.0"),
        (np.float32(9000000), "9e+06"),
        (np.float32(16777216), "16777216.0"),
        (np.float32(1e-45), "1.4013e-45"),
        (np.float32(3.4028235e38), "3.40282347e+38"),
        (np.float64(0.2), "0.2"),
        (np.float64(1 / 3), "0.33333333333333331"),
        (np.float64(123456), "123456.0"),
        (np.float64(1234567), "1234567.0"),
        (np.float64(1e300), "1e+300"),
        (np.float16(0.1), "0.0999756"),  # ours
        (ml_dtypes.bfloat16(0.1), "0.100098"),  # ours
        (np.float64("nan"), "NaN"),
        (np.float16("-inf"), "-Infinity"),
        (np.int8(-5), "-5"),
        (np.uint64(2**64 - 1), "18446744073709551615"),
        (np.bool_(True), "true"),
    ],
)
def test_number_formats(value, text):
    assert number_of(np.asarray(value)) == text


def test_string_that_is_not_utf8_is_written_as_its_bytes():
    assert b'"\xff"' in codec_rest.encode_predict({"y": strings([b"\xff"])}, True)


@pytest.mark.parametrize(
    "outputs, row_format, message",
    [
        ({}, True, "Cannot convert empty tensor map to JSON"),
        ({"y": np.array(1)}, True, "Tensor name: y has no shape information "),
        (
            {"a": np.zeros((2, 3)), "b": np.zeros((1, 3))},
            True,
            "Tensor name: b has inconsistent batch size: 1 expecting: 2",
        ),
        ({"y": np.zeros(2, np.complex64)}, True, "Failed to write JSON value for tensor type: complex64"),
        ({"y": np.zeros(2, np.complex128)}, False, "Failed to write JSON value for tensor type: complex128"),
    ],
)
def test_outputs_refusals(outputs, row_format, message):
    assert refusal(codec_rest.encode_predict, outputs, row_format) == (Code.INVALID_ARGUMENT, message)


LABELS = strings([[b"car", b"bike", b"bus"]] * 2)
SCORES = np.array([[0.2, 0.7, 0.1], [0.7, 0.1, 0.2]], np.float32)


def test_classify_to_the_byte():
    assert codec_rest.encode_classify(Classification(LABELS, SCORES)) == golden("classify.response.json")


@pytest.mark.parametrize(
    "result, pairs",
    [(Classification(LABELS[:1], None), [["car", 0.0], ["bike", 0.0], ["bus", 0.0]])]
    + [(Classification(None, SCORES[:1]), [["", 0.2], ["", 0.7], ["", 0.1]])],
)
def test_classify_fills_in_what_the_model_does_not_give(result, pairs):
    assert json.loads(codec_rest.encode_classify(result)) == {"results": [pairs]}


def test_regress_to_the_byte():
    values = np.array([0.2, math.inf, 1, -math.inf, math.nan], np.float32)
    assert codec_rest.encode_regress(values) == golden("regress.response.json")


@pytest.mark.parametrize(
    "encode, empty, message",
    [
        (
            codec_rest.encode_classify,
            Classification(None, np.zeros((0, 2), np.float32)),
            "Cannot convert empty ClassificationResults to JSON",
        ),
        (
            codec_rest.encode_regress,
            np.zeros(0, np.float32),
            "Cannot convert empty RegressionResults to JSON",
        ),
    ],
)
def test_empty_results_are_refused(encode, empty, message):
    assert refusal(encode, empty) == (Code.INVALID_ARGUMENT, message)


def test_error_to_the_byte():
    body = codec_rest.encode_error('Serving signature name: "predict" not found in signature def')
    assert body == golden("error.response.json")


def test_status_to_the_byte():
    versions = [
        VersionStatus(123, "AVAILABLE", "OK", ""),
        VersionStatus(9007199254740993, "END", "NOT_FOUND", 'No "saved_model.pb"'),
    ]
    assert codec_rest.encode_status(versions) == golden("status.response.json")


# Round trips: what is written as outputs is read as inputs

NUMERIC = [np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint32, np.uint64]


@given(
    st.sampled_from(NUMERIC).flatmap(
        lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(max_dims=4, max_side=4))
    ),
    st.booleans(),
)
def test_numbers_come_back_as_they_went(array, row_format):
    body = codec_rest.encode_predict({"x": array}, row_format).replace(b"predictions", b"instances")
    arrays, _ = decode(body.replace(b"outputs", b"inputs"), {"x": spec(array.dtype)})
    assert arrays["x"].dtype == array.dtype
    np.testing.assert_array_equal(arrays["x"], array)


@given(st.lists(st.binary(), min_size=1, max_size=5), st.booleans())
def test_bytes_come_back_as_they_went(values, row_format):
    body = codec_rest.encode_predict({"x_bytes": strings(values)}, row_format).replace(b"predictions", b"instances")
    arrays, _ = decode(body.replace(b"outputs", b"inputs"), {"x_bytes": spec(object)})
    assert arrays["x_bytes"].tolist() == values


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_text_comes_back_as_it_went(values):
    encoded = [value.encode() for value in values]
    body = codec_rest.encode_predict({"x": strings(encoded)}, True)
    assert json.loads(body) == {"predictions": values}
    assert decode_one(body.replace(b"predictions", b"instances"), object).tolist() == encoded
