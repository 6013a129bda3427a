"""TensorFlow Serving's protobuf messages to arrays and back: pure functions, no engine, no socket.

    to_array(proto, name), to_arrays(request.inputs)        # TensorProto to array
    to_proto(array, as_content=False)                       # and back
    request_examples(request.input)                         # classify and regress over gRPC: bytes [N]
    serialize_examples(codec_rest.decode_examples(...))     # and over REST
    to_classification_result(...), to_regression_result(...)

What a TensorProto may hold is as in TensorFlow's Tensor::FromProto: `tensor_content` comes first; too few values are
filled up with the last one (none: zeros), too many are cut.
"""

import functools
import math
from collections.abc import Mapping

import numpy as np
from tensorflow.core.example import example_pb2
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    input_pb2,
    regression_pb2,
)

from serving.classification import Classification
from serving.errors import Code, ServingError
from serving.json_examples import Examples, Features
from serving.signature import Arrays
from serving.tensor_types import BY_DTYPE, BY_NUMBER, TensorType, type_name

FILL_LIMIT_BYTES = 1 << 26  # what a request's shapes may ask for beyond the values that came
STRING_BYTES = 64  # what a string without content costs on its way through
MAX_RANK = 64  # numpy's

_STRING, _BOOL = np.dtype(np.object_), np.dtype(np.bool_)
_PACKED_TAGS = {  # of the fields whose packed values are the array's own bytes
    "float_val": b"\x2a",
    "double_val": b"\x32",
    "scomplex_val": b"\x4a",
    "bool_val": b"\x5a",
    "dcomplex_val": b"\x62",
}


def to_arrays(inputs: Mapping[str, tensor_pb2.TensorProto]) -> Arrays:
    """`to_array` of every input, within one limit for all that is filled up."""
    room = Room()
    return {name: to_array(proto, name, room) for name, proto in inputs.items()}


class Room:
    """For what the shapes of one request ask for beyond the values that came."""

    def __init__(self) -> None:
        self.left_bytes = FILL_LIMIT_BYTES


def to_array(proto: tensor_pb2.TensorProto, name: str, room: Room | None = None) -> np.ndarray:
    """The array of `proto`; where it came as `tensor_content`, a read-only view of the message's own bytes.

    Args:
        room: what is left for arrays that the values which came do not fill.

    Raises:
        ServingError: INVALID_ARGUMENT `tensor parsing error: NAME`, then what is wrong: an unknown type, a negative or
            too long shape, content of the wrong size, or a shape far larger than the values that came.
    """
    row = BY_NUMBER.get(proto.dtype)
    if row is None:
        raise _error(name, f"DataType {proto.dtype} has no array here.")
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if len(shape) > MAX_RANK or (shape and min(shape) < 0):
        raise _error(name, f"Shape {shape} is not that of a tensor of at most {MAX_RANK} dimensions.")
    count = math.prod(shape)
    if count == 0:
        # What computes with no rows, or with no columns, may still make room for one, or take them one by one.
        if math.prod(size for size in shape if size) * row.dtype.itemsize > FILL_LIMIT_BYTES:
            raise _error(name, f"Shape {shape} is too large for a tensor without elements.")
        return np.empty(shape, row.dtype)
    content = proto.tensor_content
    if content and row.dtype == _STRING:
        return _strings(_split_strings(content, count, name)).reshape(shape)
    if content:
        if len(content) != count * row.dtype.itemsize:
            raise _error(name, f"{shape} of {row.name} needs {count * row.dtype.itemsize} bytes, {len(content)} came.")
        if row.dtype == _BOOL:
            return (np.frombuffer(content, np.uint8) != 0).reshape(shape)
        return np.frombuffer(content, row.dtype).reshape(shape)
    return _fill(_values(proto, row), count, shape, name, room or Room()).reshape(shape)


def _error(name: str, reason: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, f"tensor parsing error: {name}. {reason}")


def _values(proto: tensor_pb2.TensorProto, row: TensorType) -> np.ndarray:
    field = getattr(proto, row.field)
    if row.dtype == _STRING:
        return _strings(field[:])
    # A repeated field gives its buffer to numpy: 2 us for 25,088 floats, 1,480 us through a list.
    values = np.asarray(field, row.wire)
    if row.field == "half_val":
        return values.astype(np.uint16).view(row.dtype)
    if row.dtype.kind == "c":
        return values[: len(values) // 2 * 2].view(row.dtype)
    return values.astype(row.dtype, copy=False)


def _fill(values: np.ndarray, count: int, shape: list[int], name: str, room: Room) -> np.ndarray:
    if len(values) >= count:
        return values[:count]
    size_bytes = count * (STRING_BYTES if values.dtype == _STRING else values.itemsize)
    if size_bytes > room.left_bytes:
        raise _error(
            name, f"{len(values)} values came for shape {shape}; up to {FILL_LIMIT_BYTES:,} bytes are filled up."
        )
    room.left_bytes -= size_bytes
    if not len(values) and values.dtype != _STRING:
        return np.zeros(count, values.dtype)
    filled = np.empty(count, values.dtype)
    filled[: len(values)] = values
    filled[len(values) :] = values[-1] if len(values) else b""
    return filled


def _strings(values: list[bytes]) -> np.ndarray:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def _split_strings(content: bytes, count: int, name: str) -> list[bytes]:
    """The strings of a `tensor_content`: every length as a varint, then all bytes."""
    sizes, at = [], 0
    for _ in range(count):
        size = shift = 0
        while True:
            if at >= len(content) or shift > 63:
                raise _error(name, f"The content ends before the lengths of {count} strings.")
            byte = content[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        sizes.append(size)
    if at + sum(sizes) != len(content):
        raise _error(name, f"{count} strings need {at + sum(sizes)} bytes, {len(content)} came.")
    ends = np.cumsum([at, *sizes]).tolist()
    return [content[start:end] for start, end in zip(ends[:-1], ends[1:], strict=True)]


def to_proto(array: np.ndarray, as_content: bool = False) -> tensor_pb2.TensorProto:
    """`array` as a TensorProto: its values in the type's own field, or all bytes in `tensor_content`.

    Raises:
        ServingError: INTERNAL, TensorFlow has no type for the dtype.
    """
    row = BY_DTYPE.get(array.dtype)
    if row is None:
        raise ServingError(Code.INTERNAL, f"An output has dtype {type_name(array.dtype)}, which no message can hold.")
    header = _header(row.number, array.shape)
    if as_content and row.dtype == _STRING:
        proto = tensor_pb2.TensorProto.FromString(header)
        strings = array.ravel().tolist()
        proto.tensor_content = b"".join([*(_varint(len(value)) for value in strings), *strings])
        return proto
    if as_content:
        proto = tensor_pb2.TensorProto.FromString(header)
        proto.tensor_content = array.tobytes()
        return proto
    if row.field in _PACKED_TAGS and array.size:
        # The field's wire form is the array's own bytes. Microseconds for 10, 320 and 25,088 floats: so 0.5, 0.8, 3.2;
        # extend(tolist()) 1.5, 6.7, 1222; append in a loop 3.7, 141, 15148.
        data = array.tobytes()
        return tensor_pb2.TensorProto.FromString(b"".join((header, _PACKED_TAGS[row.field], _varint(len(data)), data)))
    proto = tensor_pb2.TensorProto.FromString(header)
    flat = array.ravel()
    getattr(proto, row.field).extend((flat.view(np.uint16) if row.field == "half_val" else flat).tolist())
    return proto


@functools.lru_cache(maxsize=1024)
def _header(number: int, shape: tuple[int, ...]) -> bytes:
    proto = tensor_pb2.TensorProto(dtype=number)
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto.SerializeToString()


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def request_examples(message: input_pb2.Input) -> np.ndarray:
    """The serialized tf.Examples of a classify or regress request, each after the shared context: bytes [N].

    Raises:
        ServingError: INVALID_ARGUMENT `Input is empty.`
    """
    if message.WhichOneof("kind") == "example_list_with_context":
        context = message.example_list_with_context.context.SerializeToString()
        examples = message.example_list_with_context.examples
    else:
        context, examples = b"", message.example_list.examples
    if not examples:
        raise ServingError(Code.INVALID_ARGUMENT, "Input is empty.")
    return _strings([context + example.SerializeToString() for example in examples])


def serialize_examples(request: Examples) -> np.ndarray:
    """The examples of a REST body as serialized tf.Examples, each after the shared context: bytes [N]."""
    context = b"" if request.context is None else _example(request.context)
    return _strings([context + _example(features) for features in request.examples])


def _example(features: Features) -> bytes:
    example = example_pb2.Example()
    for name, values in features.items():
        try:
            feature = example.features.feature[name]
        except UnicodeEncodeError as error:
            raise ServingError(Code.INVALID_ARGUMENT, f"Feature name {name!r} is no UTF-8.") from error
        if not values:
            continue
        if isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif isinstance(values[0], float):
            feature.float_list.value.extend(values)
        else:
            feature.int64_list.value.extend(values)
    return example.SerializeToString()


def to_classification_result(result: Classification) -> classification_pb2.ClassificationResult:
    """Classes [N, K] and scores [N, K], either of which may be missing, as a message."""
    message = classification_pb2.ClassificationResult()
    for labels, scores in result.rows():
        classes = message.classifications.add().classes
        for label, score in zip(labels, scores, strict=True):
            classes.add(label=label.decode("utf-8", "replace"), score=score)
    return message


def to_regression_result(values: np.ndarray) -> regression_pb2.RegressionResult:
    """Values [N] as a message."""
    message = regression_pb2.RegressionResult()
    for value in values.tolist():
        message.regressions.add(value=value)
    return message
