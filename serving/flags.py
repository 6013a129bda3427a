"""The server's command line: TensorFlow Serving's flags in its syntax, and a few of ours.

Syntax as in `tensorflow/core/util/command_line_flags.cc`: `--name=value`, and for booleans `--name` alone or `=true`
and `=false` (here also `=1` and `=0`). `--name value` is refused, since TensorFlow Serving does not take it either.
"""

import dataclasses
import os
from typing import Any

from serving.config_protos import read_config_file
from serving.model_config import (
    BatchingParameters,
    ModelConfig,
    MonitoringConfig,
    SslConfig,
    from_models_root,
    parse_batching_parameters,
    parse_model_config_file,
    parse_monitoring_config,
    parse_ssl_config,
)

MODELS, LIFECYCLE = "Models", "Loading and versions"
GRPC, REST = "gRPC", "REST"
BATCHING, EXECUTION = "Batching", "Execution"
OBSERVING, IGNORED = "Watching", "Accepted and ignored"


class FlagError(ValueError):
    """A command line that cannot be served; the message is a sentence for whoever typed it."""


def flag(group: str, default: Any, text: str, *, ignored: str = "") -> Any:
    """A dataclass field that is a flag: its `--help` group and line, and why it means nothing here if it does."""
    metadata = {"group": IGNORED if ignored else group, "help": text, "ignored": ignored}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _four_threads_per_processor() -> int:
    return 4 * len(os.sched_getaffinity(0))


@dataclasses.dataclass(frozen=True)
class Flags:
    """TensorFlow Serving's flags by their own names and defaults, then ours. Validated where it is made."""

    model_name: str = flag(MODELS, "default", "name of the model at --model_base_path")
    model_base_path: str = flag(MODELS, "", "folder that holds the model's integer version folders")
    model_config_file: str = flag(MODELS, "", "text-format ModelServerConfig; replaces --model_base_path")
    models_root: str = flag(MODELS, "", "serve every model in this folder; replaces --model_base_path")
    saved_model_tags: str = flag(MODELS, "serve", "comma-separated tags of the graph to load")
    allow_empty_models: bool = flag(MODELS, False, "start with no model at all, or before it exists")

    file_system_poll_wait_seconds: int = flag(LIFECYCLE, 1, "seconds between looks for versions; 0: once")
    model_config_file_poll_wait_seconds: int = flag(LIFECYCLE, 0, "seconds between reads of the config; 0: once")
    allow_version_labels_for_unavailable_models: bool = flag(LIFECYCLE, False, "labels may name unloaded versions")
    max_num_load_retries: int = flag(LIFECYCLE, 5, "tries after a failed load")
    load_retry_interval_micros: int = flag(LIFECYCLE, 60_000_000, "microseconds between those tries")
    num_load_threads: int = flag(LIFECYCLE, 0, "versions loaded at the same time; 0: one")
    num_unload_threads: int = flag(LIFECYCLE, 0, "versions unloaded at the same time; 0: one")
    enable_model_warmup: bool = flag(LIFECYCLE, True, "replay a version's tf_serving_warmup_requests")
    num_request_iterations_for_warmup: int = flag(LIFECYCLE, 0, "times each warmup request runs; 0: once")

    port: int = flag(GRPC, 8500, "TCP port of the gRPC API; 0: none")
    grpc_socket_path: str = flag(GRPC, "", "UNIX socket of the gRPC API, beside the port")
    grpc_channel_arguments: str = flag(GRPC, "", "k=v,k=v given to the gRPC server")
    grpc_max_threads: int = flag(GRPC, _four_threads_per_processor, "threads that answer gRPC calls")
    enable_grpc_healthcheck_service: bool = flag(GRPC, False, "serve grpc.health.v1")
    enable_grpc_reflection: bool = flag(GRPC, False, "serve gRPC reflection")
    enable_serialization_as_tensor_content: bool = flag(GRPC, False, "outputs as tensor_content")
    ssl_config_file: str = flag(GRPC, "", "text-format SSLConfig; gRPC speaks TLS")

    rest_api_port: int = flag(REST, 0, "TCP port of the REST API; 0: none")
    rest_api_num_threads: int = flag(REST, _four_threads_per_processor, "threads that answer REST calls")
    rest_api_timeout_in_ms: int = flag(REST, 30_000, "milliseconds until a REST call is given up")
    rest_api_enable_cors_support: bool = flag(REST, False, "answer pages of other origins")
    rest_api_enable_tls: bool = flag(REST, False, "REST speaks TLS too, by --ssl_config_file")

    enable_batching: bool = flag(BATCHING, False, "batch by TensorFlow Serving's parameters")
    batching_parameters_file: str = flag(BATCHING, "", "text-format BatchingParameters")
    enable_per_model_batching_parameters: bool = flag(BATCHING, False, "read each version's batching_params.pbtxt")

    engine: str = flag(EXECUTION, "auto", "auto, tensorflow or openvino")
    tensorflow_session_parallelism: int = flag(EXECUTION, 0, "threads of TensorFlow, in and across ops; 0: auto")
    tensorflow_intra_op_parallelism: int = flag(EXECUTION, 0, "threads in one op; 0: auto")
    tensorflow_inter_op_parallelism: int = flag(EXECUTION, 0, "ops at the same time; 0: auto")
    per_process_gpu_memory_fraction: float = flag(EXECUTION, 0.0, "share of GPU memory, 0 to 1; 0: as needed")
    enable_signature_method_name_check: bool = flag(EXECUTION, False, "classify and regress need their method_name")

    monitoring_config_file: str = flag(OBSERVING, "", "text-format MonitoringConfig; metrics on REST")
    request_log: str = flag(OBSERVING, "", "file for a JSON line a request; -: standard output")
    request_log_sampling_rate: float = flag(OBSERVING, 1.0, "share of requests logged, 0 to 1")

    enable_profiler: bool = flag("", True, "profiler service", ignored="there is no ProfilerService here")
    flush_filesystem_caches: bool = flag("", True, "drop page caches", ignored="the kernel keeps its own page cache")
    mixed_precision: str = flag("", "", "mixed precision", ignored="the SavedModel's own types are run")
    num_tflite_pools: int = flag("", 0, "TFLite pools", ignored="SavedModels are run, not TFLite files")
    num_tflite_interpreters_per_pool: int = flag("", 0, "TFLite", ignored="SavedModels are run, not TFLite files")
    platform_config_file: str = flag("", "", "PlatformConfigMap", ignored="flags set what that file would")
    prefer_tflite_model: bool = flag("", False, "TFLite", ignored="SavedModels are run, not TFLite files")
    remove_unused_fields_from_bundle_metagraph: bool = flag(
        "", True, "trim MetaGraphDef", ignored="the graph is dropped once loaded"
    )
    skip_initialize_tpu: bool = flag("", False, "TPU", ignored="TPUs are not used")
    tensorflow_session_config_file: str = flag(
        "", "", "ConfigProto", ignored="use --tensorflow_intra_op_parallelism and --tensorflow_inter_op_parallelism"
    )
    thread_pool_factory_config_file: str = flag("", "", "thread pools", ignored="engines bring their own thread pools")
    use_alts_credentials: bool = flag("", False, "ALTS", ignored="ALTS works only inside Google; use --ssl_config_file")
    xla_cpu_compilation_enabled: bool = flag("", False, "XLA", ignored="jit_compile functions always run")
    xla_gpu_compilation_enabled: bool = flag("", False, "XLA", ignored="jit_compile functions always run")

    notices: tuple[str, ...] = ()  # a line each for the flags given that mean nothing here

    @property
    def channel_arguments(self) -> tuple[tuple[str, int | str], ...]:
        """--grpc_channel_arguments as grpc.server's options: whole numbers as int."""
        pairs = [pair.partition("=") for pair in self.grpc_channel_arguments.split(",") if pair]
        return tuple((key, int(value) if value.lstrip("-").isdecimal() else value) for key, _, value in pairs)

    @property
    def tags(self) -> frozenset[str]:
        """--saved_model_tags as a set."""
        return frozenset(self.saved_model_tags.split(","))

    def models(self) -> tuple[ModelConfig, ...]:
        """The models to serve, read anew from --model_config_file or --models_root where one is given.

        Raises:
            ServingError: the file or the folder is missing or wrong.
        """
        if self.model_config_file:
            return parse_model_config_file(read_config_file(self.model_config_file), self.model_config_file)
        if self.models_root:
            return from_models_root(self.models_root)
        if self.model_base_path:
            return (ModelConfig(self.model_name, self.model_base_path),)
        return ()

    def batching_parameters(self) -> BatchingParameters | None:
        """None without --enable_batching; then what the file says, or the defaults."""
        if not self.enable_batching:
            return None
        if not self.batching_parameters_file:
            return BatchingParameters()
        return parse_batching_parameters(read_config_file(self.batching_parameters_file), self.batching_parameters_file)

    def monitoring_config(self) -> MonitoringConfig:
        """What --monitoring_config_file says; off without one."""
        if not self.monitoring_config_file:
            return MonitoringConfig()
        return parse_monitoring_config(read_config_file(self.monitoring_config_file), self.monitoring_config_file)

    def ssl_config(self) -> SslConfig | None:
        """What --ssl_config_file says; None without one."""
        if not self.ssl_config_file:
            return None
        return parse_ssl_config(read_config_file(self.ssl_config_file), self.ssl_config_file)
