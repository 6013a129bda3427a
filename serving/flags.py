"""The server's flags: TensorFlow Serving's by their own names and defaults, and a few of ours.

Source: `model_servers/main.cc` and `server.h` of TensorFlow Serving. The syntax is in command_line.py.
"""

import dataclasses
import difflib
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

from serving import processors
from serving.command_line import IGNORED, FlagError, flag, help_text, parse
from serving.config_protos import parse_text, read_config_file
from serving.model_config import (
    BatchingParameters,
    ModelConfig,
    MonitoringConfig,
    SslConfig,
    from_models_root,
    local_path,
    parse_batching_parameters,
    parse_model_config_file,
    parse_monitoring_config,
    parse_ssl_config,
)
from serving.servable import Engine, EngineOptions

MODELS, LIFECYCLE, GRPC, REST = "Models", "Loading and versions", "gRPC", "REST"
BATCHING, EXECUTION, OBSERVING = "Batching", "Execution", "Watching"


def _four_threads_per_processor() -> int:
    return 4 * processors.schedulable_processors()


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
    num_load_threads: int = flag(LIFECYCLE, 0, "versions loaded at the same time, one of them for OpenVINO; 0: one")
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
    rest_api_timeout_in_ms: int = flag(REST, 30_000, "milliseconds until a REST call is given up; 0: never")
    rest_api_enable_cors_support: bool = flag(REST, False, "answer pages of other origins")
    rest_api_enable_tls: bool = flag(REST, False, "REST speaks TLS too, by --ssl_config_file")
    rest_api_enable_admin: bool = flag(REST, False, "REST reloads the config and unloads models")

    enable_batching: bool = flag(BATCHING, False, "batch by TensorFlow Serving's parameters")
    batching_parameters_file: str = flag(BATCHING, "", "text-format BatchingParameters")
    enable_per_model_batching_parameters: bool = flag(BATCHING, False, "read each version's batching_params.pbtxt")

    engine: str = flag(EXECUTION, "auto", "auto, tensorflow or openvino")
    tensorflow_session_parallelism: int = flag(EXECUTION, 0, "threads of TensorFlow, in and across ops; 0: auto")
    tensorflow_intra_op_parallelism: int = flag(EXECUTION, 0, "threads in one op; 0: one a processor")
    tensorflow_inter_op_parallelism: int = flag(EXECUTION, 0, "ops at the same time; 0: auto")
    tensorflow_session_config_file: str = flag(EXECUTION, "", "text-format ConfigProto of TensorFlow's sessions")
    op_libraries: str = flag(EXECUTION, "", "comma-separated shared objects with ops that models need")
    mixed_precision: str = flag(EXECUTION, "", "bfloat16: networks multiply in it, where the processor does")
    per_process_gpu_memory_fraction: float = flag(EXECUTION, 0.0, "share of GPU memory, 0 to 1; 0: as needed")
    enable_signature_method_name_check: bool = flag(EXECUTION, False, "classify and regress need their method_name")

    enable_profiler: bool = flag(OBSERVING, True, "ProfilerService; it writes where callers say")
    monitoring_config_file: str = flag(OBSERVING, "", "text-format MonitoringConfig; metrics on REST")
    request_log: str = flag(OBSERVING, "", "file for a JSON line a request; -: standard output")
    request_log_sampling_rate: float = flag(OBSERVING, 1.0, "share of requests logged, 0 to 1")

    flush_filesystem_caches: bool = flag(IGNORED, True, "the kernel looks after its page cache")
    num_tflite_interpreters_per_pool: int = flag(IGNORED, 0, "SavedModels are run, not TFLite files")
    num_tflite_pools: int = flag(IGNORED, 0, "SavedModels are run, not TFLite files")
    platform_config_file: str = flag(IGNORED, "", "flags set what that file would")
    prefer_tflite_model: bool = flag(IGNORED, False, "SavedModels are run, not TFLite files")
    remove_unused_fields_from_bundle_metagraph: bool = flag(IGNORED, True, "no MetaGraphDef is kept")
    skip_initialize_tpu: bool = flag(IGNORED, False, "TPUs are not used")
    thread_pool_factory_config_file: str = flag(IGNORED, "", "each engine brings its thread pools")
    use_alts_credentials: bool = flag(IGNORED, False, "ALTS works inside Google alone; use --ssl_config_file")
    xla_cpu_compilation_enabled: bool = flag(IGNORED, False, "jit_compile functions run without it")
    xla_gpu_compilation_enabled: bool = flag(IGNORED, False, "jit_compile functions run without it")

    notices: tuple[str, ...] = ()  # sentences to log at start: what was given and has no effect

    def __post_init__(self) -> None:
        for text, is_wrong in _refusals(self):
            if is_wrong:
                raise FlagError(text)

    @property
    def channel_arguments(self) -> tuple[tuple[str, int | str], ...]:
        """--grpc_channel_arguments as grpc.server's options: whole numbers as int."""
        pairs = [pair.partition("=") for pair in self.grpc_channel_arguments.split(",") if pair]
        return tuple((key, int(value) if re.fullmatch(r"-?\d+", value) else value) for key, _, value in pairs)

    @property
    def op_parallelism(self) -> tuple[int, int]:
        """TensorFlow's threads (in an op, across ops); 0 is automatic."""
        if self.tensorflow_intra_op_parallelism or self.tensorflow_inter_op_parallelism:
            return self.tensorflow_intra_op_parallelism, self.tensorflow_inter_op_parallelism
        return self.tensorflow_session_parallelism, self.tensorflow_session_parallelism

    @property
    def tags(self) -> frozenset[str]:
        """--saved_model_tags as a set."""
        return frozenset(self.saved_model_tags.split(","))

    def models(self) -> tuple[ModelConfig, ...] | None:
        """The models to serve, read anew from --model_config_file or --models_root where one is given; None where the
        file says nothing, as while it is being written.

        Raises:
            ServingError: the file or the folder is missing or wrong.
        """
        if self.model_config_file:
            return parse_model_config_file(read_config_file(self.model_config_file), self.model_config_file)
        if self.models_root:
            return from_models_root(self.models_root)
        if self.model_base_path:
            return (ModelConfig(self.model_name, os.path.abspath(local_path(self.model_base_path))),)
        return ()

    def batching_parameters(self) -> BatchingParameters | None:
        """None without --enable_batching; then what the file says, or the defaults."""
        if not self.enable_batching:
            return None
        if not self.batching_parameters_file:
            return BatchingParameters()
        return parse_batching_parameters(read_config_file(self.batching_parameters_file), self.batching_parameters_file)

    def monitoring_config(self) -> MonitoringConfig:
        """What --monitoring_config_file says; without one the path that KServe and most annotations name."""
        if not self.monitoring_config_file:
            return MonitoringConfig(enable=True, path="/metrics")
        return parse_monitoring_config(read_config_file(self.monitoring_config_file), self.monitoring_config_file)

    def ssl_config(self) -> SslConfig | None:
        """What --ssl_config_file says; None without one."""
        if not self.ssl_config_file:
            return None
        return parse_ssl_config(read_config_file(self.ssl_config_file), self.ssl_config_file)

    def engine_options(self) -> EngineOptions:
        """How the engines use the machine, with what --tensorflow_session_config_file says where no flag does."""
        from tensorflow.core.protobuf.config_pb2 import ConfigProto  # which --help does not need

        config, path = ConfigProto(), self.tensorflow_session_config_file
        if path:
            parse_text(read_config_file(path), config, path)
        intra, inter = self.op_parallelism
        # a container's limit, of which the engines know nothing
        limit = processors.schedulable_processors() if processors.limit() else 0
        return EngineOptions(
            tensorflow_intra_op_parallelism=intra or config.intra_op_parallelism_threads or limit,
            tensorflow_inter_op_parallelism=inter or config.inter_op_parallelism_threads,
            per_process_gpu_memory_fraction=self.per_process_gpu_memory_fraction,
            mixed_precision=self.mixed_precision,
            session_config=config.SerializeToString(deterministic=True),
            op_libraries=tuple(map(os.path.abspath, filter(None, self.op_libraries.split(",")))),
        )


def _refusals(flags: Flags) -> Iterator[tuple[str, bool]]:
    """Each rule between flags as (the sentence, whether it is broken)."""
    for name in ("port", "rest_api_port"):
        port = getattr(flags, name)
        yield f"--{name} is a TCP port from 0 to 65535, got {port}.", not 0 <= port <= 65535
    yield f"--port and --rest_api_port must differ, both are {flags.port}.", 0 < flags.port == flags.rest_api_port
    for name in ("grpc_max_threads", "rest_api_num_threads"):
        yield f"--{name} must be at least 1, got {getattr(flags, name)}.", getattr(flags, name) < 1
    session = ("session", "intra_op", "inter_op")
    for name in ("num_load_threads", "num_unload_threads", *(f"tensorflow_{kind}_parallelism" for kind in session)):
        yield f"--{name} must be at least 0, got {getattr(flags, name)}.", getattr(flags, name) < 0
    for name in ("per_process_gpu_memory_fraction", "request_log_sampling_rate"):
        yield f"--{name} is from 0 to 1, got {getattr(flags, name)}.", not 0 <= getattr(flags, name) <= 1
    yield (
        "--batching_parameters_file is set without --enable_batching. Add --enable_batching, or leave the file out.",
        bool(flags.batching_parameters_file) and not flags.enable_batching,
    )
    yield (
        "--model_config_file and --models_root both say what to serve. Leave one out.",
        bool(flags.model_config_file and flags.models_root),
    )
    yield (
        "--rest_api_enable_tls needs --ssl_config_file, which holds the key and the certificate.",
        flags.rest_api_enable_tls and not flags.ssl_config_file,
    )
    close = difflib.get_close_matches(flags.engine, list(Engine), n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    yield f"--engine is one of {', '.join(Engine)}, got {flags.engine!r}.{hint}", flags.engine not in list(Engine)
    absent = [path for path in flags.op_libraries.split(",") if path and not os.path.isfile(path)]
    yield f"--op_libraries names files that are not there: {', '.join(absent)}.", bool(absent)
    wrong = [pair for pair in flags.grpc_channel_arguments.split(",") if pair and not re.match("[^=]+=", pair)]
    yield f"--grpc_channel_arguments is written name=value,name=value; got {','.join(wrong)!r}.", bool(wrong)


def _without_effect(flags: Flags) -> Iterator[str]:
    if flags.enable_per_model_batching_parameters and not flags.enable_batching:
        yield "--enable_per_model_batching_parameters has no effect without --enable_batching."
    if flags.mixed_precision not in ("", "bfloat16"):
        yield f"--mixed_precision={flags.mixed_precision} has no effect; it is bfloat16 or nothing."
    if flags.monitoring_config_file and not flags.rest_api_port:
        yield "--monitoring_config_file has no effect without --rest_api_port, where metrics are served."


def parse_command_line(arguments: Sequence[str] | None = None) -> Flags:
    """The server's flags from a command line (by default this process's), without the program's name.

    `--help` and `--version` are printed and end the process with status 0; a wrong command line ends it with a
    sentence on standard error and status 2.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if "--help" in arguments:
        _print_and_end(f"usage: tensorflow_model_server --flag=value ...\n\n{help_text(Flags)}")
    if "--version" in arguments:
        versions = _version("convzoo"), _version("tensorflow")
        _print_and_end("TensorFlow ModelServer: convzoo {}\nTensorFlow Library: {}".format(*versions))
    try:
        flags, notices = parse(Flags, arguments)
    except FlagError as error:
        _refuse(str(error))
    if not (flags.model_base_path or flags.model_config_file or flags.models_root or flags.allow_empty_models):
        _refuse("No model to serve. Give --model_base_path, --model_config_file or --models_root.")
    if not (flags.port or flags.grpc_socket_path or flags.rest_api_port):
        _refuse("No address to serve on. Give --port, --grpc_socket_path or --rest_api_port.")
    return dataclasses.replace(flags, notices=(*notices, *_without_effect(flags)))


def _print_and_end(text: str) -> NoReturn:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # `| head` has seen enough; Python would complain once more at its own end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise SystemExit(0)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:  # run from the source tree
        return "(not installed)"


def _refuse(sentence: str) -> NoReturn:
    print(f"tensorflow_model_server: {sentence}", file=sys.stderr)
    raise SystemExit(2)
