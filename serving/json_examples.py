"""The examples of a classify or regress body: feature names to lists of int, float or bytes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from serving.json_tensors import decode_base64, is_base64, json_type, refuse
from serving.json_writer import echo, encode

Features = dict[str, list[int] | list[float] | list[bytes]]


class Examples(NamedTuple):
    """`context` holds the features that all `examples` share; None where the body has none."""

    examples: list[Features]
    context: Features | None


def decode_examples(document: Mapping[str, Any]) -> Examples:
    """The examples of a classify or regress body as features: lists of int, float or bytes, or empty.

    Raises:
        ServingError: INVALID_ARGUMENT for all that the body does wrong.
    """
    context = document.get("context")
    features = _features(context) if "context" in document else None
    if "examples" not in document:
        raise refuse(
            f"JSON Value: {echo(document)} When method is classify, key 'examples' is expected and was not found"
        )
    examples = document["examples"]
    if type(examples) is not list:
        raise refuse(f"JSON Value: {echo(document)} Expecting 'examples' value to be an list/array")
    if not examples:
        raise refuse(f"JSON Value: {echo(document)} 'examples' value is an empty array")
    return Examples([_features(example) for example in examples], features)


def _features(value: Any) -> Features:
    if type(value) is not dict:
        raise refuse(f"Example must be JSON object but got JSON {json_type(value)}")
    return {name: _feature(name, item if type(item) is list else [item]) for name, item in value.items()}


_KINDS = {int: "int64", float: "float", bytes: "bytes"}


def _feature(name: str, items: list[Any]) -> Any:
    values = [_feature_value(name, item) for item in items]
    for value in values:
        if type(value) is not type(values[0]):
            kind = _KINDS[type(values[0])]
            raise refuse(f"Unexpected element type in feature: {name} expecting type: {kind}")
    return values


def _feature_value(name: str, item: Any) -> int | float | bytes:
    if type(item) is str:
        return encode(item)
    if is_base64(item):
        return decode_base64(item)
    if type(item) is int and item >= 2**63:
        raise refuse(f"Feature: {name} has uint64 element. Only int64 is supported.")
    if type(item) in (int, float, bool):
        return int(item) if type(item) is bool else item
    raise refuse(f"Feature: {name} has element with unexpected JSON type: {json_type(item)}")
