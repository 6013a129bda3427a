"""TensorFlow Serving's REST bodies to arrays and back: pure functions, no engine, no socket, no protobuf.

Reading a request, in the order in which its faults are reported:

    document = parse(body)                                    # the JSON object
    name = signature_name(document)                           # "" where the body names none
    arrays, row_format = decode_predict(document, signature.inputs, defaults=signature.defaults)
    examples = decode_examples(document)                      # :classify and :regress

Writing a reply:

    encode_predict(outputs, row_format)                       # {"predictions": ...} or {"outputs": ...}
    encode_classify(classification), encode_regress(values)   # {"results": ...}
    encode_status(versions), encode_error(message)

Source: tensorflow.org/tfx/serving/api_rest and util/json_tensor.cc of TensorFlow Serving. Two additions: float16 and
bfloat16 are read and written, and a picture as `{"b64": ...}` is accepted for a numeric input of images.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from serving import json_numbers, json_reader
from serving.classification import Classification
from serving.json_examples import decode_examples
from serving.json_instances import decode_predict
from serving.json_tensors import refuse
from serving.json_writer import INDENT, decimals, echo, elements, encode, multi_line, single_line, string

Document = dict[str, Any]

__all__ = [
    "VersionStatus",
    "decode_examples",
    "decode_predict",
    "encode_classify",
    "encode_error",
    "encode_predict",
    "encode_regress",
    "encode_status",
    "parse",
    "signature_name",
]


class VersionStatus(NamedTuple):
    """One line of a model's status: `state` as in get_model_status.proto, `error_code` a gRPC code's name."""

    version: int
    state: str
    error_code: str
    error_message: str


def parse(body: bytes) -> Document:
    """The JSON object of a request's body; bytes after it are ignored.

    Raises:
        ServingError: INVALID_ARGUMENT, the body is not JSON or not an object.
    """
    document = json_numbers.parse(body) or json_reader.parse(body)
    if type(document) is not dict:
        raise refuse(f"JSON Value: {echo(document)} Is not object")
    return document


def signature_name(document: Document) -> str:
    """The signature that the body names; "" where it names none.

    Raises:
        ServingError: INVALID_ARGUMENT, it is not a string.
    """
    name = document.get("signature_name", "")
    if type(name) is not str:
        raise refuse(
            f"JSON Value: {echo(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def encode_predict(outputs: Mapping[str, np.ndarray], row_format: bool) -> bytes:
    """The body of a predict reply; strings of an output whose name ends in `_bytes` are written as base64.

    Raises:
        ServingError: INVALID_ARGUMENT, an output has no batch dimension or another one than the rest (rows only),
            a dtype that JSON has no form for, or there are no outputs.
    """
    if not outputs:
        raise refuse("Cannot convert empty tensor map to JSON")
    return encode(_predictions(outputs) if row_format else _outputs(outputs))


def _predictions(outputs: Mapping[str, np.ndarray]) -> str:
    rows: list[list[str]] = []
    is_named = len(outputs) > 1
    for name, array in outputs.items():
        if array.ndim == 0:
            raise refuse(f"Tensor name: {name} has no shape information ")
        if rows and len(rows[0]) != len(array):
            raise refuse(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {len(rows[0])}")
        depth = array.ndim + 1 + is_named
        texts = single_line(elements(array, is_base64=name.endswith("_bytes"), depth=depth), array.shape, 1)
        rows.append([f"{INDENT * 3}{string(name.encode())}: {text}" for text in texts] if is_named else texts)
    if not is_named:
        body = ", ".join(rows[0])
    else:
        body = ",".join(
            f"\n{INDENT * 2}{{\n" + ",\n".join(row) + f"\n{INDENT * 2}}}" for row in zip(*rows, strict=True)
        )
    end = f"\n{INDENT}]" if rows[0] else "]"
    return f'{{\n{INDENT}"predictions": [{body}{end}\n}}'


def _outputs(outputs: Mapping[str, np.ndarray]) -> str:
    is_named = len(outputs) > 1
    texts = []
    for name, array in outputs.items():
        depth = 1 + is_named
        text = multi_line(
            elements(array, is_base64=name.endswith("_bytes"), depth=depth + array.ndim), array.shape, depth
        )
        texts.append(f"{INDENT * 2}{string(name.encode())}: {text}" if is_named else text)
    body = "{\n" + ",\n".join(texts) + f"\n{INDENT}}}" if is_named else texts[0]
    return f'{{\n{INDENT}"outputs": {body}\n}}'


def encode_classify(result: Classification) -> bytes:
    """The body of a classify reply: pairs of label and score.

    Raises:
        ServingError: INVALID_ARGUMENT, there is not one example.
    """
    rows = []
    for labels, scores in result.rows():
        numbers = decimals(np.array(scores, np.float32))
        pairs = (f"[{string(label)}, {number}]" for label, number in zip(labels, numbers, strict=True))
        rows.append(f"[{', '.join(pairs)}]")
    if not rows:
        raise refuse("Cannot convert empty ClassificationResults to JSON")
    return encode(f'{{\n{INDENT}"results": [{", ".join(rows)}\n{INDENT}]\n}}')


def encode_regress(values: np.ndarray) -> bytes:
    """The body of a regress reply from values (float32, [N]).

    Raises:
        ServingError: INVALID_ARGUMENT, there is not one example.
    """
    if not values.size:
        raise refuse("Cannot convert empty RegressionResults to JSON")
    body = ", ".join(decimals(values.astype(np.float32, copy=False)))
    return encode(f'{{\n{INDENT}"results": [{body}]\n}}')


def encode_error(message: str) -> bytes:
    """The body of every refusal."""
    return encode(f'{{\n{INDENT}"error": {string(encode(message))}\n}}')


def encode_status(versions: Iterable[VersionStatus]) -> bytes:
    """The body of a model's status: protobuf's JSON of GetModelStatusResponse, versions as strings."""
    lines = [
        {
            "version": str(version),
            "state": state,
            "status": {"error_code": error_code, "error_message": message},
        }
        for version, state, error_code, message in versions
    ]
    return encode(json.dumps({"model_version_status": lines}, indent=1, ensure_ascii=False) + "\n")
