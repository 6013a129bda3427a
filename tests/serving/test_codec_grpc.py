import math
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from tensorflow.core.example import example_pb2
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import input_pb2

from serving import codec_grpc
from serving.classification import Classification
from serving.errors import Code, ServingError
from serving.json_examples import Examples
from serving.tensor_types import TENSOR_TYPES

GOLDEN = Path(__file__).parent / "golden"


def tensor(text):
    return text_format.Parse(text, tensor_pb2.TensorProto())


def refusal(call, *args):
    with pytest.raises(ServingError) as caught:
        call(*args)
    return caught.value


def equal(one, other):
    assert one.dtype == other.dtype
    assert one.shape == other.shape
    if one.dtype == object:
        assert one.tolist() == other.tolist()
    else:
        assert one.tobytes() == other.tobytes()  # NaN and -0.0 too


def parsed_by_tensorflow(proto):
    value = tf.io.parse_tensor(proto.SerializeToString(), tf.dtypes.as_dtype(proto.dtype)).numpy()
    return np.array(value, object) if proto.dtype == tf.string.as_datatype_enum else np.asarray(value)


# The table of types is TensorFlow's own


@pytest.mark.parametrize("row", TENSOR_TYPES, ids=lambda row: row.name)
def test_type_table(row):
    dtype = tf.dtypes.as_dtype(row.number)
    assert dtype.name == {"float": "float32", "double": "float64", "half": "float16"}.get(row.name, row.name)
    assert np.dtype(dtype.as_numpy_dtype) == row.dtype


# What a TensorProto may hold: every row is read as TensorFlow reads it

OCTAL_255 = "\\377"  # a byte of a length that goes on
THREE = "tensor_shape { dim { size: 3 } } "


@pytest.mark.parametrize(
    "text, values",
    [
        ("dtype: DT_FLOAT float_val: 1.5", 1.5),
        (f"dtype: DT_FLOAT {THREE} float_val: [1, 2, 3]", [1, 2, 3]),
        (f"dtype: DT_FLOAT {THREE} float_val: [1, 2]", [1, 2, 2]),  # the last value fills up
        (f"dtype: DT_FLOAT {THREE} float_val: [1, 2, 3, 4]", [1, 2, 3]),
        (f"dtype: DT_FLOAT {THREE}", [0, 0, 0]),
        (f"dtype: DT_DOUBLE {THREE} double_val: 0.1", [0.1, 0.1, 0.1]),
        (f"dtype: DT_INT32 {THREE} int_val: [-1, 2, 3]", [-1, 2, 3]),
        (f"dtype: DT_UINT8 {THREE} int_val: [300, -1, 3]", [44, 255, 3]),  # wraps
        (f"dtype: DT_INT8 {THREE} int_val: [300, -1, 200]", [44, -1, -56]),
        (f"dtype: DT_INT16 {THREE} int_val: [40000, -1, 3]", [-25536, -1, 3]),
        (f"dtype: DT_UINT16 {THREE} int_val: [70000, -1, 3]", [4464, 65535, 3]),
        (f"dtype: DT_INT64 {THREE} int64_val: [-9223372036854775808, 0, 1]", [-(2**63), 0, 1]),
        (f"dtype: DT_UINT32 {THREE} uint32_val: [4294967295, 0, 1]", [2**32 - 1, 0, 1]),
        (f"dtype: DT_UINT64 {THREE} uint64_val: [18446744073709551615, 0, 1]", [2**64 - 1, 0, 1]),
        (f"dtype: DT_BOOL {THREE} bool_val: [true, false]", [True, False, False]),
        (f"dtype: DT_HALF {THREE} half_val: [15360, 81152]", [1.0, 1.25, 1.25]),
        (f"dtype: DT_BFLOAT16 {THREE} half_val: [16256, 16320]", [1.0, 1.5, 1.5]),
        (f"dtype: DT_COMPLEX64 {THREE} scomplex_val: [1, 2, 3, 4]", [1 + 2j, 3 + 4j, 3 + 4j]),
        (f"dtype: DT_COMPLEX64 {THREE} scomplex_val: [1, 2, 3]", [1 + 2j] * 3),
        (f"dtype: DT_COMPLEX128 {THREE} dcomplex_val: [1, 2]", [1 + 2j] * 3),
        (f"dtype: DT_STRING {THREE} string_val: ['a', 'b\\000']", [b"a", b"b\0", b"b\0"]),
        (f"dtype: DT_STRING {THREE}", [b"", b"", b""]),
        (f"dtype: DT_STRING {THREE} tensor_content: '\\001\\000\\002abc'", [b"a", b"", b"bc"]),
        (f"dtype: DT_INT8 {THREE} tensor_content: '\\001\\002\\377'", [1, 2, -1]),
        (f"dtype: DT_INT8 {THREE} tensor_content: '\\001\\002\\377' int_val: 9", [1, 2, -1]),  # content comes first
        ("dtype: DT_FLOAT tensor_shape { dim { size: 0 } dim { size: 7 } } float_val: 1", np.zeros((0, 7)).tolist()),
        ("dtype: DT_FLOAT tensor_shape { unknown_rank: true } float_val: 1", 1.0),
    ],
)
def test_tensors_are_read_as_tensorflow_reads_them(text, values):
    proto = tensor(text)
    array = codec_grpc.to_array(proto, "x")
    assert array.tolist() == values
    equal(array, parsed_by_tensorflow(proto))


@pytest.mark.parametrize(
    "text, reason",
    [
        ("dtype: DT_INVALID", "DataType 0 has no array here."),
        ("dtype: DT_RESOURCE", "DataType 20 has no array here."),
        (
            "dtype: DT_FLOAT tensor_shape { dim { size: -1 } } float_val: 1",
            "Shape [-1] is not that of a tensor of at most 64 dimensions.",
        ),
        (f"dtype: DT_FLOAT {THREE} tensor_content: '1234'", "[3] of float needs 12 bytes, 4 came."),
        (f"dtype: DT_STRING {THREE} tensor_content: '\\001\\000\\002abcd'", "3 strings need 6 bytes, 7 came."),
        (f"dtype: DT_STRING {THREE} tensor_content: '\\001\\000\\002ab'", "3 strings need 6 bytes, 5 came."),
        (f"dtype: DT_STRING {THREE} tensor_content: '\\001'", "The content ends before the lengths of 3 strings."),
        (f"dtype: DT_STRING {THREE} tensor_content: '\\377'", "The content ends before the lengths of 3 strings."),
        (
            f"dtype: DT_STRING {THREE} tensor_content: '{20 * OCTAL_255}'",
            "The content ends before the lengths of 3 strings.",
        ),
        (
            "dtype: DT_FLOAT tensor_shape { dim { size: 0 } dim { size: 4611686018427387904 } }",
            "Shape [0, 4611686018427387904] is too large for a tensor without elements.",
        ),
        (
            "dtype: DT_UINT8 tensor_shape { dim { size: 1099511627776 } dim { size: 0 } }",
            "Shape [1099511627776, 0] is too large for a tensor without elements.",
        ),
        (
            "dtype: DT_FLOAT tensor_shape { dim { size: 1000000000 } } float_val: 1",
            "1 values came for shape [1000000000]; up to 67,108,864 bytes are filled up.",
        ),
        (
            "dtype: DT_STRING tensor_shape { dim { size: 2000000 } }",
            "0 values came for shape [2000000]; up to 67,108,864 bytes are filled up.",
        ),
        (
            "dtype: DT_INT8 tensor_shape { dim { size: 9223372036854775807 } dim { size: 9223372036854775807 } }",
            "0 values came for shape [9223372036854775807, 9223372036854775807]; up to 67,108,864 bytes are filled up.",
        ),
    ],
)
def test_tensors_that_do_not_hold_what_they_say_are_refused(text, reason):
    error = refusal(codec_grpc.to_array, tensor(text), "x")
    assert (error.code, error.message) == (Code.INVALID_ARGUMENT, f"tensor parsing error: x. {reason}")


def test_inputs_are_filled_up_within_one_limit():
    large = tensor("dtype: DT_FLOAT tensor_shape { dim { size: 10000000 } }")
    assert codec_grpc.to_arrays({"x": large})["x"].sum() == 0
    error = refusal(codec_grpc.to_arrays, {"x": large, "y": large})
    assert error.message.startswith("tensor parsing error: y. 0 values came for shape [10000000]")
    texts = tensor("dtype: DT_STRING tensor_shape { dim { size: 600000 } }")
    assert refusal(codec_grpc.to_arrays, {"x": texts, "y": texts}).code is Code.INVALID_ARGUMENT
    whole = tensor("dtype: DT_INT64 tensor_shape { dim { size: 3 } } int64_val: [1, 2, 3]")
    assert set(codec_grpc.to_arrays({"w": whole, "x": large})) == {"w", "x"}


def test_every_byte_of_a_bool_but_zero_is_true():
    proto = tensor("dtype: DT_BOOL tensor_shape { dim { size: 4 } } tensor_content: '\\377\\200\\001\\000'")
    array = codec_grpc.to_array(proto, "x")
    assert array.view(np.uint8).tolist() == [1, 1, 1, 0]


def test_more_dimensions_than_numpy_has_are_refused():
    proto = tensor("dtype: DT_FLOAT float_val: 1")
    for _ in range(65):
        proto.tensor_shape.dim.add(size=1)
    assert refusal(codec_grpc.to_array, proto, "x").message.startswith("tensor parsing error: x. Shape [1, 1, ")


def test_fields_of_another_type_are_not_values():
    assert codec_grpc.to_array(tensor("dtype: DT_INT32 float_val: 7"), "x") == 0


def test_content_is_not_copied():
    proto = tf.make_tensor_proto(np.zeros((2, 3), np.float32))
    array = codec_grpc.to_array(proto, "x")
    assert not array.flags.owndata and not array.flags.writeable


def test_every_input_gets_its_array():
    inputs = {"a": tensor("dtype: DT_INT32 int_val: 1"), "b": tensor("dtype: DT_STRING string_val: 'x'")}
    assert codec_grpc.to_arrays(inputs) == {"a": 1, "b": b"x"}


def test_input_that_does_not_parse_is_named():
    error = refusal(codec_grpc.to_arrays, {"a": tensor("dtype: DT_INT32"), "b": tensor("dtype: DT_INVALID")})
    assert error.message.startswith("tensor parsing error: b")


# Arrays to messages and back

NUMERIC = [row.dtype for row in TENSOR_TYPES if row.name not in ("string", "bfloat16")]
SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@st.composite
def any_array(draw):
    dtype = draw(st.sampled_from([*NUMERIC, np.dtype(object), np.dtype(ml_dtypes.bfloat16)]))
    shape = draw(SHAPES)
    if dtype.kind == "O":
        array = np.empty(shape, object)
        array[...] = np.array(draw(st.lists(st.binary(), min_size=array.size, max_size=array.size)), object).reshape(
            shape
        )
        return array
    if dtype == ml_dtypes.bfloat16:
        return draw(arrays_of.arrays(np.uint16, shape)).view(dtype)
    return draw(arrays_of.arrays(dtype, shape))


@given(any_array(), st.booleans())
def test_arrays_come_back_as_they_went(array, as_content):
    equal(codec_grpc.to_array(codec_grpc.to_proto(array, as_content), "x"), array)


@given(any_array(), st.booleans())
def test_tensorflow_reads_what_is_written(array, as_content):
    equal(parsed_by_tensorflow(codec_grpc.to_proto(array, as_content)), array)


@given(any_array())
def test_clients_read_what_is_written(array):
    read = tf.make_ndarray(codec_grpc.to_proto(array))
    equal(read.reshape(array.shape), array)


@given(any_array())
def test_what_clients_write_is_read(array):
    equal(codec_grpc.to_array(tf.make_tensor_proto(array, shape=array.shape), "x"), array)


@given(any_array().filter(lambda array: array.dtype != object))
def test_content_is_tensorflows_to_the_byte(array):
    written = codec_grpc.to_proto(array, as_content=True).SerializeToString(deterministic=True)
    assert written == tf.io.serialize_tensor(tf.constant(array)).numpy()


@pytest.mark.parametrize(
    "array, text",
    [
        (
            np.array([[0.5, 1]], np.float32),
            "dtype: DT_FLOAT tensor_shape { dim { size: 1 } dim { size: 2 } } float_val: [0.5, 1]",
        ),
        (np.array(7, np.int64), "dtype: DT_INT64 tensor_shape {} int64_val: 7"),
        (np.array([True]), "dtype: DT_BOOL tensor_shape { dim { size: 1 } } bool_val: true"),
        (np.array([200], np.uint8), "dtype: DT_UINT8 tensor_shape { dim { size: 1 } } int_val: 200"),
        (np.array([1], np.float16), "dtype: DT_HALF tensor_shape { dim { size: 1 } } half_val: 15360"),
        (np.array([1 + 2j], np.complex64), "dtype: DT_COMPLEX64 tensor_shape { dim { size: 1 } } scomplex_val: [1, 2]"),
        (np.array([b"a"], object), "dtype: DT_STRING tensor_shape { dim { size: 1 } } string_val: 'a'"),
        (np.zeros((0, 2), np.float32), "dtype: DT_FLOAT tensor_shape { dim { size: 0 } dim { size: 2 } }"),
        (
            np.arange(6, dtype=np.int32).reshape(2, 3).T[:1],
            "dtype: DT_INT32 tensor_shape { dim { size: 1 } dim { size: 2 } } int_val: [0, 3]",
        ),
    ],
)
def test_values_stand_in_the_types_own_field(array, text):
    assert codec_grpc.to_proto(array) == tensor(text)


def test_strings_as_content_are_lengths_then_bytes():
    proto = codec_grpc.to_proto(np.array([b"a" * 200, b""], object), as_content=True)
    assert proto.tensor_content == b"\xc8\x01\x00" + b"a" * 200


def test_dtype_that_no_message_has_is_the_servers_fault():
    error = refusal(codec_grpc.to_proto, np.zeros(1, "datetime64[s]"))
    assert error.code is Code.INTERNAL


# tf.Examples


def example(**features):
    message = example_pb2.Example()
    for name, value in features.items():
        message.features.feature[name].int64_list.value.append(value)
    return message


def test_examples_of_a_request():
    request = input_pb2.Input()
    request.example_list.examples.extend([example(a=1), example(a=2)])
    values = codec_grpc.request_examples(request)
    assert [example_pb2.Example.FromString(value) for value in values] == [example(a=1), example(a=2)]


def test_examples_of_a_request_come_after_their_context():
    request = input_pb2.Input()
    request.example_list_with_context.context.CopyFrom(example(c=3))
    request.example_list_with_context.examples.extend([example(a=1), example(a=2)])
    values = codec_grpc.request_examples(request)
    assert [example_pb2.Example.FromString(value) for value in values] == [example(a=1, c=3), example(a=2, c=3)]


def with_context_only():
    request = input_pb2.Input()
    request.example_list_with_context.context.CopyFrom(example(c=3))
    return request


@pytest.mark.parametrize("request_input", [input_pb2.Input(), with_context_only()])
def test_request_without_examples_is_refused(request_input):
    error = refusal(codec_grpc.request_examples, request_input)
    assert (error.code, error.message) == (Code.INVALID_ARGUMENT, "Input is empty.")


def test_examples_of_a_rest_body_are_serialized():
    features = {"text": [b"a", b"\xff"], "ratings": [8.0, math.inf], "age": [20, -1], "empty": []}
    (value,) = codec_grpc.serialize_examples(Examples([features], {"query": [b"pizza"]}))
    message = example_pb2.Example.FromString(value)
    read = {name: feature for name, feature in message.features.feature.items()}
    assert read["text"].bytes_list.value == [b"a", b"\xff"]
    assert read["ratings"].float_list.value == [8.0, math.inf]
    assert read["age"].int64_list.value == [20, -1]
    assert read["empty"].WhichOneof("kind") is None
    assert read["query"].bytes_list.value == [b"pizza"]


# Results and metadata


def test_classification_result():
    scores = np.array([[0.75, 0.25]], np.float32)
    message = codec_grpc.to_classification_result(Classification(np.array([[b"car", b"bike"]], object), scores))
    pairs = [[(c.label, c.score) for c in one.classes] for one in message.classifications]
    assert pairs == [[("car", 0.75), ("bike", 0.25)]]


def test_regression_result():
    message = codec_grpc.to_regression_result(np.array([0.5, 2], np.float32))
    assert [one.value for one in message.regressions] == [0.5, 2.0]
