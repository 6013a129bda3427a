"""TensorFlow's C API, as far as sessions need it.

TensorFlow's Python loader holds the interpreter for 10 to 17 ms while it imports a graph, and all of Python waits.
Called through ctypes, the same work in TensorFlow's library holds nothing, and it is the very code that TensorFlow
Serving runs. Addresses are integers here; who calls a function named `new_` deletes what it gave.

Source: tensorflow/c/c_api.h, tf_tensor.h and, for the layout of strings, ctstring_internal.h in TensorFlow's headers.
"""

import contextlib
import ctypes
import importlib.util
import math
import struct
from collections.abc import Iterator
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.errors import Code, ServingError
from serving.tensor_types import BY_DTYPE, BY_NUMBER

CODES = {code.grpc: code for code in Code}
STRING = types_pb2.DT_STRING
STRING_BYTES = 24
STRING_KINDS = 3  # the lowest two bits of a string's first byte
SMALL, OFFSET = 0, 2
write_header = struct.Struct("=II16x").pack_into
WRITABLE = 0x200  # PyBUF_WRITE


def library() -> str:
    """The path of TensorFlow's library, found without an import of TensorFlow.

    Raises:
        ImportError: there is none.
    """
    spec = importlib.util.find_spec("tensorflow")
    folders = (spec and spec.submodule_search_locations) or ()
    for folder in folders:
        for path in Path(folder).glob("libtensorflow_cc*"):
            return str(path)
    raise ImportError(f"No libtensorflow_cc in {', '.join(folders) or 'any tensorflow'}. Install tensorflow 2.21 anew.")


LIBRARY = library()
LONG = ctypes.CDLL(LIBRARY)  # lets go of the interpreter for each call
SHORT = ctypes.PyDLL(LIBRARY)  # does not, and so never waits to have it back


class Output(ctypes.Structure):
    """A tensor of a graph: TF_Output."""

    _fields_ = (("operation", c_void_p), ("index", c_int))


class Buffer(ctypes.Structure):
    """TF_Buffer."""

    _fields_ = (("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p))

    def bytes(self) -> bytes:
        return ctypes.string_at(self.data, self.length)


def declared(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function


new_status = declared(SHORT, "TF_NewStatus", c_void_p)
delete_status = declared(SHORT, "TF_DeleteStatus", None, c_void_p)
status_code = declared(SHORT, "TF_GetCode", c_int, c_void_p)
status_message = declared(SHORT, "TF_Message", c_char_p, c_void_p)

load_library = declared(LONG, "TF_LoadLibrary", c_void_p, c_char_p, c_void_p)

new_buffer = declared(SHORT, "TF_NewBuffer", POINTER(Buffer))
new_buffer_of = declared(SHORT, "TF_NewBufferFromString", POINTER(Buffer), c_char_p, c_size_t)
delete_buffer = declared(SHORT, "TF_DeleteBuffer", None, POINTER(Buffer))

allocate_tensor = declared(SHORT, "TF_AllocateTensor", c_void_p, c_int, POINTER(c_int64), c_int, c_size_t)
delete_tensor = declared(SHORT, "TF_DeleteTensor", None, c_void_p)
tensor_from_proto = declared(LONG, "TF_TensorFromProto", None, POINTER(Buffer), c_void_p, c_void_p)
tensor_type = declared(SHORT, "TF_TensorType", c_int, c_void_p)
tensor_rank = declared(SHORT, "TF_NumDims", c_int, c_void_p)
tensor_dim = declared(SHORT, "TF_Dim", c_int64, c_void_p, c_int)
tensor_data = declared(SHORT, "TF_TensorData", c_void_p, c_void_p)
string_data = declared(SHORT, "TF_StringGetDataPointer", c_void_p, c_void_p)
string_size = declared(SHORT, "TF_StringGetSize", c_size_t, c_void_p)

new_graph = declared(SHORT, "TF_NewGraph", c_void_p)
delete_graph = declared(LONG, "TF_DeleteGraph", None, c_void_p)
new_import_options = declared(SHORT, "TF_NewImportGraphDefOptions", c_void_p)
delete_import_options = declared(SHORT, "TF_DeleteImportGraphDefOptions", None, c_void_p)
map_input = declared(
    *(SHORT, "TF_ImportGraphDefOptionsAddInputMapping", None),
    *(c_void_p, c_char_p, c_int, Output),
)
import_graph = declared(LONG, "TF_GraphImportGraphDef", None, c_void_p, POINTER(Buffer), c_void_p, c_void_p)
graph_to_graph_def = declared(LONG, "TF_GraphToGraphDef", None, c_void_p, POINTER(Buffer), c_void_p)
operation_by_name = declared(SHORT, "TF_GraphOperationByName", c_void_p, c_void_p, c_char_p)
output_count = declared(SHORT, "TF_OperationNumOutputs", c_int, c_void_p)
output_rank = declared(SHORT, "TF_GraphGetTensorNumDims", c_int, c_void_p, Output, c_void_p)
output_shape = declared(SHORT, "TF_GraphGetTensorShape", None, c_void_p, Output, POINTER(c_int64), c_int, c_void_p)

new_session_options = declared(SHORT, "TF_NewSessionOptions", c_void_p)
delete_session_options = declared(SHORT, "TF_DeleteSessionOptions", None, c_void_p)
set_config = declared(SHORT, "TF_SetConfig", None, c_void_p, c_char_p, c_size_t, c_void_p)
new_session = declared(LONG, "TF_NewSession", c_void_p, c_void_p, c_void_p, c_void_p)
load_session = declared(
    *(LONG, "TF_LoadSessionFromSavedModel", c_void_p),
    *(c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int, c_void_p, POINTER(Buffer), c_void_p),
)
run_session = declared(
    *(LONG, "TF_SessionRun", None, c_void_p, POINTER(Buffer)),
    *(POINTER(Output), POINTER(c_void_p), c_int, POINTER(Output), POINTER(c_void_p), c_int),
    *(c_void_p, c_int, c_void_p, c_void_p),
)
list_devices = declared(LONG, "TF_SessionListDevices", c_void_p, c_void_p, c_void_p)
device_count = declared(SHORT, "TF_DeviceListCount", c_int, c_void_p)
device_type = declared(SHORT, "TF_DeviceListType", c_char_p, c_void_p, c_int, c_void_p)
delete_devices = declared(SHORT, "TF_DeleteDeviceList", None, c_void_p)
close_session = declared(LONG, "TF_CloseSession", None, c_void_p, c_void_p)
delete_session = declared(LONG, "TF_DeleteSession", None, c_void_p, c_void_p)

memory_at = ctypes.pythonapi.PyMemoryView_FromMemory
memory_at.restype, memory_at.argtypes = ctypes.py_object, (c_void_p, ctypes.c_ssize_t, c_int)


@contextlib.contextmanager
def checked_status() -> Iterator[int]:
    """A status for calls to write to. Raises ServingError with TensorFlow's code and message when one has failed."""
    status = new_status()
    try:
        yield status
        code = status_code(status)
        if code:
            message = status_message(status).decode(errors="replace")
            raise ServingError(CODES.get(code, Code.UNKNOWN), message)
    finally:
        delete_status(status)


@contextlib.contextmanager
def buffer_of(content: bytes | None) -> Iterator[Any]:
    """A buffer with the bytes in it; None for no buffer."""
    buffer = None if content is None else new_buffer_of(content, len(content))
    try:
        yield buffer
    finally:
        if buffer is not None:
            delete_buffer(buffer)


@contextlib.contextmanager
def session_options(config: bytes) -> Iterator[int]:
    """Options with a serialized ConfigProto."""
    options = new_session_options()
    try:
        with checked_status() as status:
            set_config(options, config, len(config), status)
        yield options
    finally:
        delete_session_options(options)


class Tensor:
    """A tensor of TensorFlow's by its address, deleted with this object."""

    def __init__(self, address: int) -> None:
        self.address = address

    @classmethod
    def of(cls, array: np.ndarray) -> "Tensor":
        """A copy of the array, of strings (bytes objects) or numbers, where TensorFlow wants it.

        Copies that TensorFlow makes of long strings point into it, and must not outlive it.
        """
        number = type_number(array.dtype)
        strings = array.ravel().tolist() if number == STRING else None
        size = array.nbytes if strings is None else STRING_BYTES * len(strings) + sum(map(len, strings))
        dims = (c_int64 * array.ndim)(*array.shape)
        tensor = cls(allocate_tensor(number, dims, array.ndim, size))
        if strings is None:
            tensor.memory(array.shape, array.dtype)[...] = array
        else:
            write_strings(strings, memory_at(tensor_data(tensor.address), size, WRITABLE))
        return tensor

    @classmethod
    def to_keep(cls, array: np.ndarray) -> "Tensor":
        """The same, whose copies may outlive it: variables, tables and queues keep strings."""
        if type_number(array.dtype) != STRING:
            return cls.of(array)
        tensor = cls(allocate_tensor(STRING, (c_int64 * 1)(0), 1, 0))
        proto = tensor_pb2.TensorProto(dtype=STRING, string_val=array.ravel().tolist())
        for size in array.shape:
            proto.tensor_shape.dim.add(size=size)
        with buffer_of(proto.SerializeToString()) as content, checked_status() as status:
            tensor_from_proto(content, tensor.address, status)
        return tensor

    def array(self) -> np.ndarray:
        """A copy of the content."""
        shape = tuple(tensor_dim(self.address, axis) for axis in range(tensor_rank(self.address)))
        number = tensor_type(self.address)
        if number != STRING:
            return self.memory(shape, numpy_type(number)).copy()
        found = np.empty(shape, object)
        found.ravel()[:] = strings_at(tensor_data(self.address), found.size)
        return found

    def memory(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """The content itself, which ends with the tensor."""
        size = math.prod(shape) * dtype.itemsize
        if not size:
            return np.empty(shape, dtype)
        return np.ndarray(shape, dtype, memory_at(tensor_data(self.address), size, WRITABLE))

    def __del__(self) -> None:
        delete_tensor(self.address)


def write_strings(strings: list[bytes], memory: memoryview) -> None:
    """Strings as TensorFlow has them where the characters lie behind all: size and kind, and the way to them."""
    place = STRING_BYTES * len(strings)
    for k, text in enumerate(strings):
        write_header(memory, STRING_BYTES * k, len(text) << 2 | OFFSET, place - STRING_BYTES * k)
        memory[place : place + len(text)] = text
        place += len(text)


def strings_at(address: int, count: int) -> list[bytes]:
    """Short ones lie behind their sizes, in the 24 bytes that each has; the others are asked for, 1 us each."""
    block = ctypes.string_at(address, STRING_BYTES * count) if count else b""
    found = []
    for start in range(0, len(block), STRING_BYTES):
        first = block[start]
        if first & STRING_KINDS == SMALL:
            found.append(block[start + 1 : start + 1 + (first >> 2)])
        else:
            found.append(ctypes.string_at(string_data(address + start), string_size(address + start)))
    return found


def type_number(dtype: np.dtype) -> int:
    return BY_DTYPE[dtype].number


def numpy_type(number: int) -> np.dtype:
    """Raises ServingError where the tensors are no arrays: resources and variants."""
    row = BY_NUMBER.get(number)
    if row is None:
        raise ServingError(Code.INTERNAL, f"The model gives {types_pb2.DataType.Name(number)}, which cannot be sent.")
    return row.dtype
