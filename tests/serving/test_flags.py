import dataclasses
import os
import subprocess
import sys

import pytest

from serving.command_line import FlagError
from serving.errors import ServingError
from serving.flags import Flags, parse_command_line
from serving.model_config import BatchingParameters, ModelConfig, MonitoringConfig
from serving.processors import schedulable_processors

# main.cc and server.h of TensorFlow Serving
DEFAULTS = {
    "port": 8500,
    "grpc_socket_path": "",
    "grpc_channel_arguments": "",
    "grpc_max_threads": 4 * schedulable_processors(),
    "rest_api_port": 0,
    "rest_api_num_threads": 4 * schedulable_processors(),
    "rest_api_timeout_in_ms": 30000,
    "rest_api_enable_cors_support": False,
    "model_name": "default",
    "model_base_path": "",
    "model_config_file": "",
    "model_config_file_poll_wait_seconds": 0,
    "file_system_poll_wait_seconds": 1,
    "num_load_threads": 0,
    "num_unload_threads": 0,
    "max_num_load_retries": 5,
    "load_retry_interval_micros": 60_000_000,
    "allow_version_labels_for_unavailable_models": False,
    "flush_filesystem_caches": True,
    "enable_batching": False,
    "batching_parameters_file": "",
    "enable_per_model_batching_parameters": False,
    "enable_model_warmup": True,
    "num_request_iterations_for_warmup": 0,
    "monitoring_config_file": "",
    "ssl_config_file": "",
    "enable_grpc_healthcheck_service": False,
    "enable_profiler": True,
    "enable_serialization_as_tensor_content": False,
    "enable_signature_method_name_check": False,
    "saved_model_tags": "serve",
    "tensorflow_session_parallelism": 0,
    "tensorflow_intra_op_parallelism": 0,
    "tensorflow_inter_op_parallelism": 0,
    "tensorflow_session_config_file": "",
    "per_process_gpu_memory_fraction": 0.0,
    "prefer_tflite_model": False,
    "num_tflite_pools": 0,
    "num_tflite_interpreters_per_pool": 0,
    "xla_cpu_compilation_enabled": False,
    "xla_gpu_compilation_enabled": False,
    "mixed_precision": "",
    "platform_config_file": "",
    "thread_pool_factory_config_file": "",
    "use_alts_credentials": False,
    "skip_initialize_tpu": False,
}
MODEL = "--model_base_path=/models/m"


@pytest.mark.parametrize("name", DEFAULTS)
def test_default_is_tensorflow_servings(name):
    assert getattr(Flags(), name) == DEFAULTS[name]


@pytest.mark.parametrize("name", DEFAULTS)
def test_flag_of_tensorflow_serving_is_taken(name):
    default = DEFAULTS[name]
    other = {bool: str(not default).lower(), int: "2", float: "0.5", str: "a=b"}[type(default)]

    flags = parse_command_line([MODEL, "--enable_batching", f"--{name}={other}"])

    assert getattr(flags, name) != default


def test_command_line_of_tensorflow_servings_container_is_taken():
    flags = parse_command_line(
        ["--port=8500", "--rest_api_port=8501", "--model_name=half_plus_two", "--model_base_path=/models/half_plus_two"]
    )

    assert (flags.port, flags.rest_api_port) == (8500, 8501)
    assert flags.models() == (ModelConfig("half_plus_two", "/models/half_plus_two"),)
    assert flags.notices == ()


@pytest.mark.parametrize(
    "name",
    [
        "use_alts_credentials",
        "prefer_tflite_model",
        "flush_filesystem_caches",
        "skip_initialize_tpu",
        "platform_config_file=x",
    ],
)
def test_flag_that_means_nothing_here_gives_one_line(name):
    (notice,) = parse_command_line([MODEL, f"--{name}"]).notices

    assert notice.startswith(f"--{name.partition('=')[0]} is accepted and ignored: ")
    assert "\n" not in notice


@pytest.mark.parametrize(
    "arguments, notice",
    [
        (["--enable_per_model_batching_parameters"], "has no effect without --enable_batching"),
        (["--mixed_precision=float16"], "has no effect; it is bfloat16 or nothing"),
        (["--monitoring_config_file=m"], "has no effect without --rest_api_port"),
    ],
)
def test_flag_without_the_one_it_needs_gives_one_line(arguments, notice):
    assert notice in parse_command_line([MODEL, *arguments]).notices[0]


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"port": 70000}, "--port is a TCP port from 0 to 65535, got 70000."),
        ({"port": 1, "rest_api_port": 1}, "--port and --rest_api_port must differ, both are 1."),
        ({"grpc_max_threads": 0}, "--grpc_max_threads must be at least 1, got 0."),
        ({"rest_api_num_threads": -1}, "--rest_api_num_threads must be at least 1, got -1."),
        ({"num_load_threads": -1}, "--num_load_threads must be at least 0, got -1."),
        ({"tensorflow_session_parallelism": -5}, "--tensorflow_session_parallelism must be at least 0, got -5."),
        ({"per_process_gpu_memory_fraction": 1.5}, "--per_process_gpu_memory_fraction is from 0 to 1, got 1.5."),
        ({"request_log_sampling_rate": -0.1}, "--request_log_sampling_rate is from 0 to 1, got -0.1."),
        (
            {"batching_parameters_file": "b"},
            "--batching_parameters_file is set without --enable_batching. "
            "Add --enable_batching, or leave the file out.",
        ),
        (
            {"model_config_file": "a", "models_root": "b"},
            "--model_config_file and --models_root both say what to serve. Leave one out.",
        ),
        (
            {"rest_api_enable_tls": True},
            "--rest_api_enable_tls needs --ssl_config_file, which holds the key and the certificate.",
        ),
        (
            {"engine": "openvnio"},
            "--engine is one of auto, tensorflow, openvino, got 'openvnio'. Did you mean openvino?",
        ),
        (
            {"grpc_channel_arguments": "grpc.keepalive_time_ms"},
            "--grpc_channel_arguments is written name=value,name=value; got 'grpc.keepalive_time_ms'.",
        ),
    ],
)
def test_flags_that_contradict_each_other_are_refused(changes, sentence):
    with pytest.raises(FlagError) as refused:
        Flags(**changes)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ([], "No model to serve. Give --model_base_path, --model_config_file or --models_root."),
        ([MODEL, "--port=0"], "No address to serve on. Give --port, --grpc_socket_path or --rest_api_port."),
        ([MODEL, "--grpc_port=1"], "Unknown flag --grpc_port. Did you mean --port? --help lists all flags."),
    ],
)
def test_wrong_command_line_ends_with_one_sentence_and_status_2(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        parse_command_line(arguments)

    assert ended.value.code == 2
    assert capsys.readouterr().err == f"tensorflow_model_server: {sentence}\n"


def test_server_may_start_without_models_when_told():
    assert parse_command_line(["--allow_empty_models"]).models() == ()


def test_help_whose_reader_has_seen_enough_ends_without_a_word():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-c", "from serving.flags import parse_command_line; parse_command_line(['--help'])"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=True)
    os.close(writing)
    assert ended.stderr == b""


def test_help_prints_every_flag_in_80_columns(capsys):
    with pytest.raises(SystemExit) as ended:
        parse_command_line(["--help"])

    printed = capsys.readouterr().out
    assert ended.value.code == 0
    assert max(len(line) for line in printed.splitlines()) <= 80
    for field in dataclasses.fields(Flags):
        assert f"  --{field.name}" in printed or field.name == "notices"


def test_version_prints_tensorflow_servings_two_lines(capsys):
    with pytest.raises(SystemExit) as ended:
        parse_command_line(["--version"])

    server, library = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0
    assert server.startswith("TensorFlow ModelServer: convzoo ")
    assert library.startswith("TensorFlow Library: 2.")


def test_flags_load_no_tensorflow():
    code = "import serving.flags, sys; print({'tensorflow', 'grpc', 'openvino'} & set(sys.modules))"

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed == "set()\n"


def test_relative_model_base_path_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert Flags(model_base_path="m").models() == (ModelConfig("default", str(tmp_path / "m")),)
    assert Flags(model_base_path="file:///m").models() == (ModelConfig("default", "/m"),)


def test_models_are_read_anew_from_the_config_file(tmp_path):
    config = tmp_path / "models.config"
    flags = Flags(model_config_file=str(config), model_base_path="/ignored")
    config.write_text('model_config_list { config { name: "a" base_path: "/a" model_platform: "tensorflow" } }')
    before = flags.models()
    config.write_text("")

    assert before == (ModelConfig("a", "/a"),)
    assert flags.models() is None


def test_models_root_gives_every_model_in_the_folder(tmp_path):
    (tmp_path / "m" / "1").mkdir(parents=True)

    assert Flags(models_root=str(tmp_path)).models() == (ModelConfig("m", str(tmp_path / "m")),)


def test_batching_parameters_come_from_the_file_or_the_defaults(tmp_path):
    file = tmp_path / "batching.config"
    file.write_text("max_batch_size { value: 4 }")

    assert Flags().batching_parameters() is None
    assert Flags(enable_batching=True).batching_parameters() == BatchingParameters()
    assert Flags(enable_batching=True, batching_parameters_file=str(file)).batching_parameters().max_batch_size == 4


def test_metrics_are_at_the_usual_path_and_ssl_is_off_without_their_files(tmp_path):
    assert Flags().monitoring_config() == MonitoringConfig(enable=True, path="/metrics")
    assert Flags().ssl_config() is None
    with pytest.raises(ServingError, match="none: No such file"):
        Flags(monitoring_config_file=str(tmp_path / "none")).monitoring_config()
    with pytest.raises(ServingError, match="none: No such file"):
        Flags(ssl_config_file=str(tmp_path / "none")).ssl_config()


def test_channel_arguments_are_ints_where_they_are_whole_numbers():
    flags = Flags(grpc_channel_arguments="grpc.max_connection_age_ms=2000,grpc.primary_user_agent=a-b")

    assert flags.channel_arguments == (("grpc.max_connection_age_ms", 2000), ("grpc.primary_user_agent", "a-b"))
    assert Flags().channel_arguments == ()


@pytest.mark.parametrize(
    "session, intra, inter, threads",
    [(0, 0, 0, (0, 0)), (2, 0, 0, (2, 2)), (2, 3, 0, (3, 0)), (0, 0, 4, (0, 4))],
)
def test_session_parallelism_is_for_both_unless_either_is_given(session, intra, inter, threads):
    flags = Flags(
        tensorflow_session_parallelism=session,
        tensorflow_intra_op_parallelism=intra,
        tensorflow_inter_op_parallelism=inter,
    )

    assert flags.op_parallelism == threads


def test_saved_model_tags_are_a_set():
    assert Flags(saved_model_tags="serve,gpu").tags == {"serve", "gpu"}
