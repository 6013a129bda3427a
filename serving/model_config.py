"""What the server is told to serve and how: models, batching, monitoring and TLS, as plain values.

Read from TensorFlow Serving's text-format config files, from a reload request, or from a folder of models. The words
of the errors are those of TensorFlow Serving's `server_core.cc` and `batching_session.cc`, then ours.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.config import model_server_config_pb2

from serving.config_protos import new_message, parse_text
from serving.errors import Code, ServingError
from serving.processors import schedulable_processors


@dataclasses.dataclass(frozen=True)
class Latest:
    """Serve the `num_versions` highest versions."""

    num_versions: int = 1


@dataclasses.dataclass(frozen=True)
class All:
    """Serve every version found."""


@dataclasses.dataclass(frozen=True)
class Specific:
    """Serve these versions and no others."""

    versions: tuple[int, ...]


VersionPolicy = Latest | All | Specific


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """One model: its name on the wire and the folder that holds its integer version directories."""

    name: str
    base_path: str
    version_policy: VersionPolicy = Latest()
    version_labels: Mapping[str, int] = dataclasses.field(default_factory=dict)


def _invalid(message: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, message)


def from_proto(config: model_server_config_pb2.ModelServerConfig) -> tuple[ModelConfig, ...]:
    """The models of a ModelServerConfig, in its order; none where it has no model_config_list.

    Raises:
        ServingError: INVALID_ARGUMENT for a config that names a model twice, or one with a relative base path, no
            platform, a logging_config, or a specific policy without versions.
    """
    if config.HasField("custom_model_config"):
        raise _invalid("custom_model_config is not supported. List the models in model_config_list.")
    models = tuple(_model(proto) for proto in config.model_config_list.config)
    names = [model.name for model in models]
    for name in names:
        if names.count(name) > 1:
            raise _invalid(f"Illegal to list model {name} multiple times in config list")
    return models


def _model(proto: model_server_config_pb2.ModelConfig) -> ModelConfig:
    name = proto.name
    if not name or "/" in name or ":" in name:
        raise _invalid(f'Expected a model name without "/" and ":", as URLs carry it; got name="{name}"')
    base_path = local_path(proto.base_path)
    if not os.path.isabs(base_path) or "\0" in base_path:
        raise _invalid(
            f"Expected model {name} to have an absolute path or URI; got base_path()={proto.base_path}",
        )
    if proto.HasField("logging_config"):
        raise _invalid(
            f"No request-logger-creator provided. Model {name} has a logging_config: remove it, "
            "and start the server with --request_log=PATH to log requests."
        )
    config = ModelConfig(name, base_path, _policy(proto), dict(proto.version_labels))
    _check_platform(proto)
    return config


def local_path(base_path: str) -> str:
    """`base_path` without "file://".

    Raises:
        ServingError: INVALID_ARGUMENT where it is a URI of another kind.
    """
    if re.match(r"(?!file://)[A-Za-z][\w+.-]*://", base_path):
        raise _invalid(
            f"{base_path} is not on this machine, as a served model must be. Mount it as a folder, or copy it."
        )
    return base_path.removeprefix("file://")


def _check_platform(proto: model_server_config_pb2.ModelConfig) -> None:
    if proto.model_type and proto.model_platform:
        raise _invalid(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform, "
            f"model name is {proto.name}"
        )
    if not proto.model_type and not proto.model_platform:
        raise _invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            f'model name is {proto.name}. Add model_platform: "tensorflow"'
        )
    platform = proto.model_platform or model_server_config_pb2.ModelType.Name(proto.model_type).lower()
    if platform != "tensorflow":
        raise _invalid(f'Model {proto.name} requests unsupported platform {platform}. The one served is "tensorflow".')


def _policy(proto: model_server_config_pb2.ModelConfig) -> VersionPolicy:
    policy = proto.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            if not policy.specific.versions:
                raise _invalid(
                    f"Model {proto.name} has a specific version policy without versions. "
                    "List them, as in: specific { versions: 1 versions: 2 }"
                )
            return Specific(tuple(policy.specific.versions))
        case _:
            return Latest(policy.latest.num_versions or 1)


def parse_model_config_file(text: str, path: str) -> tuple[ModelConfig, ...] | None:
    """The models of a --model_config_file, given its text, None where that holds nothing; `path` is named in errors."""
    config = parse_text(text, model_server_config_pb2.ModelServerConfig(), path)
    return from_proto(config) if config.WhichOneof("config") else None


def from_json(body: bytes) -> tuple[ModelConfig, ...]:
    """The models of a ModelServerConfig in proto3 JSON, as a REST reload carries it.

    Raises:
        ServingError: INVALID_ARGUMENT when it is none, else as `from_proto`.
    """
    try:
        config = json_format.Parse(body, model_server_config_pb2.ModelServerConfig())
    except json_format.ParseError as error:
        raise _invalid(f"The body is no ModelServerConfig in JSON: {error}") from error
    if not config.WhichOneof("config"):
        raise _invalid('The body has no model_config_list. Send {"model_config_list": {"config": [...]}}, or nothing.')
    return from_proto(config)


def from_models_root(path: str) -> tuple[ModelConfig, ...]:
    """One model for each folder in `path` that holds integer version directories, named as the folder; by name.

    Folders whose names hold a colon or are not UTF-8 are left out.

    Raises:
        ServingError: NOT_FOUND where `path` is no folder.
    """
    root = Path(path).absolute()
    if not root.is_dir():
        raise ServingError(
            Code.NOT_FOUND,
            f"{path}: No such folder. It should hold <model>/<integer version>/, such as a training exports.",
        )
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and _can_be_asked_for(folder.name))
    return tuple(ModelConfig(folder.name, str(folder)) for folder in folders if _has_versions(folder))


def _can_be_asked_for(name: str) -> bool:
    """REST ends a model's name at a colon, and gRPC's messages hold UTF-8 alone."""
    return ":" not in name and name.encode("utf-8", "replace") == os.fsencode(name)


def _has_versions(folder: Path) -> bool:
    try:
        return any(re.fullmatch("[0-9]+", child.name) and child.is_dir() for child in folder.iterdir())
    except OSError:  # removed or made unreadable since it was listed
        return False


@dataclasses.dataclass(frozen=True)
class BatchingParameters:
    """How requests are batched; session_bundle_config.proto's fields with TensorFlow Serving's defaults."""

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = dataclasses.field(default_factory=schedulable_processors)
    thread_pool_name: str = "batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int | None = None  # None: max_batch_size

    def __post_init__(self) -> None:
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads", "execution_batch_size"):
            if getattr(self, name) < 1:
                raise _invalid(f"{name} must be at least 1; was {getattr(self, name)}")
        if self.batch_timeout_micros < 0:
            raise _invalid(f"batch_timeout_micros must be non-negative; was {self.batch_timeout_micros}")
        if self.execution_batch_size > self.max_batch_size:
            raise _invalid(
                "max_execution_batch_size must be less than or equal to max_batch_size; "
                f"was {self.execution_batch_size}; expected at most {self.max_batch_size}"
            )
        self._check_allowed_batch_sizes()

    def _check_allowed_batch_sizes(self) -> None:
        sizes = self.allowed_batch_sizes
        if not sizes:
            return
        if sizes[0] < 1 or any(later <= earlier for earlier, later in zip(sizes, sizes[1:], strict=False)):
            raise _invalid(f"allowed_batch_sizes entries must be monotonically increasing; got {list(sizes)}")
        if sizes[-1] == self.execution_batch_size:
            return
        if self.enable_large_batch_splitting:
            raise _invalid(
                "Last entry in allowed_batch_sizes must be equal to max_execution_batch_size; "
                f"last entry was {sizes[-1]}; expected {self.execution_batch_size}"
            )
        raise _invalid(
            "Last entry in allowed_batch_sizes must match max_batch_size; "
            f"last entry was {sizes[-1]}; expected {self.max_batch_size}"
        )

    @property
    def execution_batch_size(self) -> int:
        """The largest batch that is run at once: splitting cuts what is larger, without it nothing larger is taken."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size is not None:
            return self.max_execution_batch_size
        return self.max_batch_size


def parse_batching_parameters(text: str, path: str) -> BatchingParameters:
    """Reads a --batching_parameters_file or a batching_params.pbtxt."""
    proto = parse_text(text, new_message("BatchingParameters"), path)
    given: dict[str, Any] = {}
    for descriptor, value in proto.ListFields():
        if descriptor.name == "allowed_batch_sizes":
            given[descriptor.name] = tuple(value)
        else:
            given[descriptor.name] = value.value if descriptor.message_type else value
    try:
        return BatchingParameters(**given)
    except ServingError as error:
        raise ServingError(error.code, f"{path}: {error.message}") from None


@dataclasses.dataclass(frozen=True)
class MonitoringConfig:
    """Whether Prometheus metrics are served, and where on the REST port."""

    enable: bool = False
    path: str = "/monitoring/prometheus/metrics"


def parse_monitoring_config(text: str, path: str) -> MonitoringConfig:
    """Reads a --monitoring_config_file."""
    prometheus = parse_text(text, new_message("MonitoringConfig"), path).prometheus_config
    if prometheus.path and not prometheus.path.startswith("/"):
        raise _invalid(f'{path}: prometheus_config.path must start with "/"; was "{prometheus.path}"')
    return MonitoringConfig(prometheus.enable, prometheus.path or MonitoringConfig.path)


@dataclasses.dataclass(frozen=True)
class SslConfig:
    """Key, certificate and certificate authority as PEM text; empty `custom_ca` is the system's authorities."""

    server_key: str
    server_cert: str
    custom_ca: str = ""
    client_verify: bool = False


def parse_ssl_config(text: str, path: str) -> SslConfig:
    """Reads an --ssl_config_file, whose values are PEM text and not file names."""
    proto = parse_text(text, new_message("SSLConfig"), path)
    ssl = SslConfig(proto.server_key, proto.server_cert, proto.custom_ca, proto.client_verify)
    for name in ("server_key", "server_cert", "custom_ca"):
        value = getattr(ssl, name)
        if "-----BEGIN" not in value and (value or name != "custom_ca"):
            raise _invalid(f'{path}: {name} must be PEM text ("-----BEGIN ..."), not a file name')
    if ssl.client_verify and not ssl.custom_ca:
        raise _invalid(f"{path}: client_verify needs custom_ca, the authority that signed the clients' certificates")
    return ssl
