"""A model's signatures as both protocols tell them: the metadata response, and the body of GET .../metadata."""

import json
from collections.abc import Mapping
from typing import Any, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2


def to_metadata(
    name: str, version: int, signature_defs: Mapping[str, meta_graph_pb2.SignatureDef]
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """A model's signatures as the metadata response, packed as `signature_def`."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = version
    signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=signature_defs)
    response.metadata["signature_def"].Pack(signatures)
    return response


def encode_metadata(response: get_model_metadata_pb2.GetModelMetadataResponse) -> bytes:
    """The REST body of a model's metadata: model_spec and signature_def, joined as TensorFlow Serving joins them."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    spec, signature_def = (
        json.dumps(_json(message), indent=1, ensure_ascii=False) for message in (response.model_spec, signatures)
    )
    body = f'{{\n"model_spec":{spec}\n,\n"metadata": {{"signature_def": {signature_def}\n}}\n}}\n'
    return body.encode()


def _json(message: Message) -> Any:
    value = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return _fields(value, cast(Descriptor, message.DESCRIPTOR))


def _fields(value: Any, kind: Descriptor) -> Any:
    """A message's JSON in the order of TensorFlow Serving's replies: plain fields as declared, then those of oneofs."""
    if not isinstance(value, dict):
        return value  # a wrapper, such as Int64Value
    fields = sorted(kind.fields, key=lambda field: field.containing_oneof is not None)
    return {field.name: _field(value[field.name], field.message_type) for field in fields if field.name in value}


def _field(value: Any, kind: Descriptor | None) -> Any:
    if kind is None:
        return value
    if kind.GetOptions().map_entry:
        entry = kind.fields_by_name["value"].message_type
        return {key: _field(value[key], entry) for key in sorted(value)}
    if isinstance(value, list):
        return [_fields(item, kind) for item in value]
    return _fields(value, kind)
