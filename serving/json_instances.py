"""The tensors of a predict body: "instances" row by row, "inputs" column by column."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from serving.errors import ServingError
from serving.json_numbers import Numbers
from serving.json_tensors import Builder, decode_base64, dense, is_base64, nested, refuse
from serving.json_writer import echo
from serving.signature import Arrays, TensorSpec

DecodeImage = Callable[[bytes, tuple[int | None, ...], np.dtype], np.ndarray]


def decode_predict(
    document: Mapping[str, Any],
    inputs: Mapping[str, TensorSpec],
    *,
    defaults: Collection[str] = (),
    decode_image: DecodeImage | None = None,
) -> tuple[Arrays, bool]:
    """The arrays of a predict body, and whether it came as rows.

    Args:
        document: what `codec_rest.parse` gave.
        inputs: the signature's inputs; only dtypes are held against the values, as TensorFlow Serving does.
        defaults: names that rows and columns may leave out.
        decode_image: gives a picture's pixels in (height, width, channels) and dtype; None in the shape is free.

    Returns:
        {input name: array}, [number of rows, ...] from rows ("instances"), as sent from columns ("inputs").

    Raises:
        ServingError: INVALID_ARGUMENT for all that the body does wrong, UNIMPLEMENTED for a dtype without a JSON form.
    """
    if not inputs:
        raise refuse(f"Failed to get input map for signature: {document.get('signature_name') or 'DEFAULT'}")
    if "instances" in document and "inputs" in document:
        raise refuse(
            f"JSON Value: {echo(document)} Not formatted correctly expecting only one of 'inputs' or 'instances' "
            "keys to exist "
        )
    request = _Request(inputs, frozenset(defaults), decode_image)
    if "instances" in document:
        rows = document["instances"]
        if type(rows) not in (list, Numbers):
            raise refuse(f"JSON Value: {echo(document)} Excepting 'instances' to be an list/array")
        if rows == []:
            raise refuse(f"JSON Value: {echo(document)} No values in 'instances' array")
        return _rows(rows, request), True
    if "inputs" in document:
        return _columns(document["inputs"], request), False
    raise refuse("Missing 'inputs' or 'instances' key")


class _Request(NamedTuple):
    inputs: Mapping[str, TensorSpec]
    defaults: frozenset[str]
    decode_image: DecodeImage | None

    def builder(self, name: str) -> Builder:
        return Builder(self.inputs[name].dtype, [], [])

    def row(self, name: str, item: Any) -> Any:
        """`item`, or its pixels where it is a picture for an input of pictures."""
        dtype, shape = self.inputs[name]
        is_batch_of_pictures = shape is not None and len(shape) == 4 and shape[3] in (1, 3) and dtype.kind not in "Ob"
        if self.decode_image is None or shape is None or not is_batch_of_pictures or not is_base64(item):
            return item
        return self.decode_image(decode_base64(item), shape[1:], dtype)


def _is_named(item: Any) -> bool:
    return type(item) is dict and not is_base64(item)


def _rows(rows: list[Any] | Numbers, request: _Request) -> Arrays:
    name = next(iter(request.inputs))
    if type(rows) is Numbers and len(request.inputs) == 1:
        array = dense(rows, request.inputs[name].dtype)
        if array is not None:
            return {name: array}
    plain: list[Any] = nested(rows)
    if type(plain[0]) is not dict and len(request.inputs) > 1:
        raise refuse(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    arrays = _whole_columns(plain, request)
    return _row_by_row(plain, request) if arrays is None else arrays


def _whole_columns(rows: list[Any], request: _Request) -> Arrays | None:
    """The arrays where every row is alike; None at the first doubt."""
    columns = {next(iter(request.inputs)): rows}
    if _is_named(rows[0]):
        names = rows[0].keys()
        if set(map(type, rows)) != {dict} or any(row.keys() != names for row in rows):
            return None
        if not request.inputs.keys() - request.defaults <= names <= request.inputs.keys():
            return None
        columns = {name: [row[name] for row in rows] for name in names}
    arrays: Arrays = {}
    for name, column in columns.items():
        array = dense(column, request.inputs[name].dtype)
        if array is None:
            return None
        arrays[name] = array
    return arrays


def _row_by_row(rows: list[Any], request: _Request) -> Arrays:
    are_named = _is_named(rows[0])
    builders: dict[str, Builder] = {}
    for number, row in enumerate(rows):
        if _is_named(row) != are_named:
            came = "Expecting object but got list" if are_named else "Expecting value/list but got object"
            raise refuse(f"{came} at item {number} of input list")
        for name, item in row.items() if are_named else [(next(iter(request.inputs)), row)]:
            try:
                if name not in request.inputs:
                    raise refuse(f"JSON object: does not have named input: {name}")
                builders.setdefault(name, request.builder(name)).add(request.row(name, item))
            except ServingError as error:
                key = f" key: {name}" if are_named else ""
                raise refuse(
                    f"Failed to process element: {number}{key} of 'instances' list. "
                    f"Error: {error.code.name}: {error.message}"
                ) from None
        if are_named and not request.inputs.keys() - request.defaults <= row.keys() == rows[0].keys():
            raise refuse(
                f"Failed to process element: {number} of 'instances' list. JSON object: {echo(row)} "
                f"keys must be equal to: {','.join(sorted(request.inputs))}"
            )
    return {name: builder.array() for name, builder in builders.items()}


def _columns(value: Any, request: _Request) -> Arrays:
    if _is_named(value):
        for name in request.inputs:
            if name not in value and name not in request.defaults:
                raise refuse(f"Missing named input: {name} in 'inputs' object.")
        return {name: _column(name, value[name], request) for name in request.inputs if name in value}
    if len(request.inputs) > 1:
        raise refuse(
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map"
        )
    name = next(iter(request.inputs))
    return {name: _column(name, value, request)}


def _column(name: str, value: Any, request: _Request) -> np.ndarray:
    array = dense(value, request.inputs[name].dtype)
    if array is not None:
        return array
    builder, value = request.builder(name), nested(value)
    rows = value if type(value) is list else [value]
    pixels = [request.row(name, row) for row in rows]
    if any(isinstance(row, np.ndarray) for row in pixels):
        for row in pixels:
            builder.add(row)
        return builder.array()
    builder.add(value)
    return builder.array().reshape(builder.shapes[0])
