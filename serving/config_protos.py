"""TensorFlow Serving's text-format config files: reading them, and the three messages its API package leaves out.

Field names and numbers as in monitoring_config.proto, ssl_config.proto and session_bundle_config.proto of TensorFlow
Serving. The messages live in a pool of their own, so a program that has the original descriptors does not clash.
"""

import difflib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message

from serving.errors import Code, ServingError

M = TypeVar("M", bound=Message)

INT64, UINT64, BOOL, STRING, MESSAGE, UINT32 = 3, 4, 8, 9, 11, 13  # FieldDescriptorProto.Type


class Field(NamedTuple):
    """One line of a message definition; `message` names the type of a message field."""

    name: str
    number: int
    type: int
    message: str = ""
    repeated: bool = False


MESSAGES = {
    "BatchingParameters": (
        Field("max_batch_size", 1, MESSAGE, ".google.protobuf.Int64Value"),
        Field("batch_timeout_micros", 2, MESSAGE, ".google.protobuf.Int64Value"),
        Field("max_enqueued_batches", 3, MESSAGE, ".google.protobuf.Int64Value"),
        Field("num_batch_threads", 4, MESSAGE, ".google.protobuf.Int64Value"),
        Field("thread_pool_name", 5, MESSAGE, ".google.protobuf.StringValue"),
        Field("allowed_batch_sizes", 6, INT64, repeated=True),
        Field("pad_variable_length_inputs", 7, BOOL),
        Field("enable_large_batch_splitting", 8, MESSAGE, ".google.protobuf.BoolValue"),
        Field("max_execution_batch_size", 9, MESSAGE, ".google.protobuf.Int64Value"),
    ),
    "PrometheusConfig": (
        Field("enable", 1, BOOL),
        Field("path", 2, STRING),
    ),
    "MonitoringConfig": (Field("prometheus_config", 1, MESSAGE, ".tensorflow.serving.PrometheusConfig"),),
    "SSLConfig": (
        Field("server_key", 1, STRING),
        Field("server_cert", 2, STRING),
        Field("custom_ca", 3, STRING),
        Field("client_verify", 4, BOOL),
    ),
}


def message_classes(package: str, messages: Mapping[str, Sequence[Field]]) -> Mapping[str, Any]:
    """The classes of messages by name, in a pool of their own."""
    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pb2.FileDescriptorProto()
    wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
    pool.Add(wrappers)
    file = descriptor_pb2.FileDescriptorProto(
        name="convzoo.proto", package=package, syntax="proto3", dependency=[wrappers.name]
    )
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field in fields:
            label = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED if field.repeated else None
            message.field.add(
                name=field.name, number=field.number, type=field.type, type_name=field.message or None, label=label
            )
    pool.Add(file)
    named = {name: pool.FindMessageTypeByName(f"{package}.{name}") for name in messages}
    return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in named.items()}


_config_classes = functools.cache(lambda: message_classes("tensorflow.serving", MESSAGES))


def new_message(name: str) -> Any:
    """An empty message of one of MESSAGES."""
    return _config_classes()[name]()


def read_config_file(path: str) -> str:
    """The text of a config file.

    Raises:
        ServingError: NOT_FOUND where there is no such file, INVALID_ARGUMENT where it is no readable UTF-8 text.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ServingError(Code.NOT_FOUND, f"{path}: No such file.") from None
    except OSError as error:
        raise ServingError(Code.INVALID_ARGUMENT, f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ServingError(Code.INVALID_ARGUMENT, f"{path} is no UTF-8 text: {error.reason}.") from None


def parse_text(text: str, message: M, path: str) -> M:
    """Fills `message` from protobuf text format and returns it.

    Raises:
        ServingError: INVALID_ARGUMENT, "Error parsing text-format <message>: <path>:<line>:<column>: <why>".
    """
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        line, column = error.GetLine() or 1, error.GetColumn() or 1
        name = message.DESCRIPTOR.full_name
        why = _explain(str(error), ["", *text.splitlines()][line:][:1], message.DESCRIPTOR)
        raise ServingError(
            Code.INVALID_ARGUMENT, f"Error parsing text-format {name}: {path}:{line}:{column}: {why}"
        ) from None


def _explain(why: str, lines: list[str], root: Any) -> str:
    """protobuf's reason in a sentence, without the place and the echo of the line that it starts with."""
    line = "".join(lines)
    why = re.sub(r"^\d+:\d+ : ", "", why).removeprefix(f"'{line}': ").removeprefix("'': ").rstrip(".")
    unknown = re.match(r'Message type "([\w.]+)" has no field named "(.+)"', why)
    if unknown:
        known = next((d for d in _descriptors(root) if d.full_name == unknown[1]), root).fields_by_name
        close = difflib.get_close_matches(unknown[2], known, n=1)
        hint = f' Did you mean "{close[0]}"?' if close else ""
        return f"{why}.{hint} It has: {', '.join(known)}."
    name = line.partition(":")[0].strip()
    field = root.fields_by_name.get(name)
    if field and field.message_type and field.message_type.full_name.startswith("google.protobuf."):
        return f"{why}. This field is written {name} {{ value: ... }}."
    return f"{why}."


def _descriptors(root: Any) -> Iterator[Any]:
    yield root
    for field in root.fields:
        if field.message_type and field.message_type is not root:
            yield from _descriptors(field.message_type)
