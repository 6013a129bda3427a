"""The tensor types of both protocols: DataType number, name, numpy dtype and the TensorProto field of their values.

`dtype` is what the arrays between the layers have (`object` for strings: elements are `bytes`), `wire` the dtype of
the field's values. Source: tensorflow/core/framework/types.proto, tensor.proto and DataTypeString.
"""

from typing import NamedTuple

import ml_dtypes
import numpy as np


class TensorType(NamedTuple):
    """One DataType; `field` holds its values where a TensorProto has no `tensor_content`."""

    number: int
    name: str
    dtype: np.dtype
    field: str
    wire: np.dtype


def _row(number: int, name: str, dtype: type, field: str, wire: type) -> TensorType:
    return TensorType(number, name, np.dtype(dtype), field, np.dtype(wire))


TENSOR_TYPES = (
    _row(1, "float", np.float32, "float_val", np.float32),
    _row(2, "double", np.float64, "double_val", np.float64),
    _row(3, "int32", np.int32, "int_val", np.int32),
    _row(4, "uint8", np.uint8, "int_val", np.int32),
    _row(5, "int16", np.int16, "int_val", np.int32),
    _row(6, "int8", np.int8, "int_val", np.int32),
    _row(7, "string", np.object_, "string_val", np.object_),
    _row(8, "complex64", np.complex64, "scomplex_val", np.float32),
    _row(9, "int64", np.int64, "int64_val", np.int64),
    _row(10, "bool", np.bool_, "bool_val", np.bool_),
    _row(14, "bfloat16", ml_dtypes.bfloat16, "half_val", np.int32),
    _row(17, "uint16", np.uint16, "int_val", np.int32),
    _row(18, "complex128", np.complex128, "dcomplex_val", np.float64),
    _row(19, "half", np.float16, "half_val", np.int32),
    _row(22, "uint32", np.uint32, "uint32_val", np.uint32),
    _row(23, "uint64", np.uint64, "uint64_val", np.uint64),
)

BY_NUMBER = {row.number: row for row in TENSOR_TYPES}
BY_DTYPE = {row.dtype: row for row in TENSOR_TYPES}


def type_name(dtype: np.dtype) -> str:
    """TensorFlow's name of `dtype`, as its messages print it; numpy's own where TensorFlow has none here."""
    row = BY_DTYPE.get(dtype)
    return row.name if row else dtype.name
