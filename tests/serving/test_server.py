"""The server as a process: starting, stopping, and what changes while it runs."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import grpc
import httpx
import pytest
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

START_S = 60


@contextlib.contextmanager
def caller_in_flight(process):
    """A request that the server has begun to read; gives what sends the rest of it and returns the answer."""
    body = b'{"instances": [1.0]}'
    head = f"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("localhost", process.port), START_S) as connection:
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert b"100 Continue" in connection.recv(100)

        def finish():
            connection.sendall(body)
            return connection.recv(1000)

        yield finish


def test_whole_life_of_a_server(launch, saved_model, tmp_path, eventually):
    base_path = saved_model("half_plus_two", 1, root=tmp_path)
    process = launch("--model_name=half_plus_two", f"--model_base_path={base_path}").wait_until_started()
    assert process.predict().json() == {"predictions": [2.5]}

    saved_model("half_plus_two", 2, a=1.0, root=tmp_path / "being_written")
    shutil.move(tmp_path / "being_written/half_plus_two/2", f"{base_path}/2")
    eventually(lambda: process.predict().json(), {"predictions": [3.0]})

    with caller_in_flight(process) as finish:
        process.popen.send_signal(signal.SIGTERM)
        process.wait_for("Stopping")
        assert b" 200 OK" in finish()
    status, output = process.ended()
    assert status == 0
    assert "Traceback" not in output


def test_version_whose_variables_are_still_being_copied_replaces_nothing(launch, saved_model, tmp_path, eventually):
    base_path = pathlib.Path(saved_model("half_plus_two", 1, root=tmp_path))
    process = launch("--model_name=half_plus_two", f"--model_base_path={base_path}").wait_until_started()
    saved_model("half_plus_two", 2, a=1.0, root=tmp_path / "source")
    source = tmp_path / "source/half_plus_two/2"
    shutil.copytree(source, base_path / "2", ignore=shutil.ignore_patterns("variables"))
    process.wait_for("has variables, but no variables/variables.index")
    assert process.predict().json() == {"predictions": [2.5]}
    shutil.copytree(source / "variables", base_path / "2/variables")
    eventually(lambda: process.predict().json(), {"predictions": [3.0]})


def test_signal_that_the_system_hands_to_another_thread_ends_the_server_too(launch, saved_model):
    process = launch("--model_name=half_plus_two", f"--model_base_path={saved_model()}").wait_until_started()
    assert process.predict().json() == {"predictions": [2.5]}  # by now the main thread waits for signals
    threads = {int(task.name) for task in pathlib.Path(f"/proc/{process.popen.pid}/task").iterdir()}
    os.kill(max(threads - {process.popen.pid}), signal.SIGTERM)
    status, output = process.ended()
    assert status == 0 and "Stopping" in output


def test_models_root_serves_all_that_comes_and_survives_a_bad_one(launch, saved_model, tmp_path, eventually):
    root = tmp_path / "root"
    (root / "broken/1").mkdir(parents=True)
    (root / "broken/1/saved_model.pb").write_bytes(b"no protobuf")
    process = launch(f"--models_root={root}", "--max_num_load_retries=0").wait_until_started()
    saved_model("late", 1, root=tmp_path / "elsewhere")
    (tmp_path / "elsewhere/late").rename(root / "late")
    eventually(lambda: process.predict("late").status_code, 200)
    (status,) = httpx.get(f"{process.url}/v1/models/broken").json()["model_version_status"]
    assert status["state"] == "END" and status["status"]["error_code"] != "OK"


def test_broken_model_that_came_holds_no_other_up_while_it_is_tried_again(launch, saved_model, tmp_path, eventually):
    root = tmp_path / "root"
    root.mkdir()
    process = launch(f"--models_root={root}").wait_until_started()
    (tmp_path / "broken/1").mkdir(parents=True)
    (tmp_path / "broken/1/saved_model.pb").write_bytes(b"no protobuf")
    (tmp_path / "broken").rename(root / "broken")
    process.wait_for("Loading version 1 of 'broken' failed")
    saved_model("late", 1, root=tmp_path / "elsewhere")
    (tmp_path / "elsewhere/late").rename(root / "late")
    eventually(lambda: process.predict("late").status_code, 200)


def test_broken_model_does_not_hold_up_the_start_of_a_folders_others(launch, saved_model, tmp_path):
    (tmp_path / "broken/1").mkdir(parents=True)
    (tmp_path / "broken/1/saved_model.pb").write_bytes(b"no protobuf")
    saved_model("half_plus_two", 1, root=tmp_path)
    process = launch(f"--models_root={tmp_path}").wait_until_started()
    assert process.predict().json() == {"predictions": [2.5]}


def test_second_signal_ends_the_server_though_a_call_still_runs(launch, saved_model):
    process = launch("--model_name=half_plus_two", f"--model_base_path={saved_model()}").wait_until_started()
    with caller_in_flight(process):
        process.popen.send_signal(signal.SIGTERM)
        process.wait_for("Stopping")
        process.popen.send_signal(signal.SIGINT)
        status, _ = process.ended()
    assert status == 128 + signal.SIGINT


READ_ONLY = """
import os, tempfile
from serving import process
tempfile._candidate_tempdir_list = lambda: ["/proc"]  # as on a root that cannot be written to
process.SHARED_MEMORY = {shared!r}
process.find_temporary_folder()
print(tempfile.gettempdir(), os.environ["TMPDIR"])
"""


def test_temporary_files_lie_in_shared_memory_where_the_root_is_read_only(tmp_path):
    code = READ_ONLY.format(shared=str(tmp_path))
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=START_S)
    assert told.stdout.split() == [str(tmp_path)] * 2


def test_no_folder_for_temporary_files_is_a_sentence():
    code = READ_ONLY.format(shared="/proc/none")
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=START_S)
    assert "No folder for temporary files can be written to. Name one: TMPDIR=/folder." in told.stderr


def test_reload_that_waits_for_a_model_does_not_keep_the_server(launch, saved_model, tmp_path, eventually):
    process = launch("--model_name=half_plus_two", f"--model_base_path={saved_model()}").wait_until_started()
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(
        name="late", base_path=str(tmp_path / "late"), model_platform="tensorflow"
    )
    with grpc.insecure_channel(f"localhost:{process.grpc_port}") as channel:
        call = model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest.future(request)
        models = lambda: [model["name"] for model in httpx.get(f"{process.url}/v1/models").json()["models"]]  # noqa: E731
        eventually(models, ["late"])
        process.popen.send_signal(signal.SIGTERM)
        status, output = process.ended()
        assert call.code() is grpc.StatusCode.UNAVAILABLE
    assert status == 0
    assert "What runs has not ended" not in output


def test_call_without_an_end_does_not_keep_the_server():
    code = (
        "import threading; from serving.process import end_anyway_after as end; end(0.01, 0); threading.Event().wait()"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=START_S).returncode == 0


def test_model_that_cannot_load_ends_the_start(launch, tmp_path):
    (tmp_path / "m/1").mkdir(parents=True)
    (tmp_path / "m/1/saved_model.pb").write_bytes(b"no protobuf")
    process = launch("--model_name=m", f"--model_base_path={tmp_path}/m", "--max_num_load_retries=0")
    status, output = process.ended()
    assert status == 255
    assert "Failed to start server. Error: " in output
    assert "Traceback" not in output


def test_port_in_use_ends_the_start_with_a_sentence(launch, half_plus_two, saved_model):
    port = half_plus_two.flags.port
    flags = ["--model_name=half_plus_two", f"--model_base_path={half_plus_two.flags.model_base_path}"]
    status, output = launch(*flags, f"--port={port}").ended()
    assert status == 255
    assert f"Failed to start server. Error: port {port} cannot be listened on" in output


@pytest.mark.parametrize("engine", ["tensorflow", "auto"])
def test_server_runs_tensorflows_library_and_does_without_its_python(launch, saved_model, engine):
    process = launch("--model_name=m", f"--model_base_path={saved_model()}", f"--engine={engine}").wait_until_started()
    assert process.predict("m").status_code == 200
    libraries = pathlib.Path(f"/proc/{process.popen.pid}/maps").read_text()
    assert "libtensorflow_cc" in libraries
    assert "_pywrap_tensorflow" not in libraries


def resident_bytes(process):
    with open(f"/proc/{process.popen.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.fixture(scope="module")
def versions_of_25_mb(tmp_path_factory):
    import tensorflow as tf

    class Table(tf.Module):
        def __init__(self):
            super().__init__()
            self.table = tf.Variable(tf.random.stateless_normal([6400, 1024], [1, 2]))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "x")])
        def serving_default(self, x):
            return {"y": tf.reduce_sum(tf.gather(self.table, x), 1)}

    root = tmp_path_factory.mktemp("large")
    module = Table()
    for version in (1, 2):
        tf.saved_model.save(module, str(root / "m" / str(version)), {"serving_default": module.serving_default})
    return root / "m"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["tensorflow", "auto"])
def test_memory_comes_back_after_unloading(launch, versions_of_25_mb, engine, eventually):
    flags = [
        f"--engine={engine}",
        "--model_name=m",
        f"--model_base_path={versions_of_25_mb}",
        "--rest_api_enable_admin",
    ]
    process = launch(*flags).wait_until_started()

    def reload(version):
        config = {"name": "m", "basePath": str(versions_of_25_mb), "modelPlatform": "tensorflow"}
        config["modelVersionPolicy"] = {"specific": {"versions": [version]}}
        body = {"modelConfigList": {"config": [config]}}
        assert httpx.post(f"{process.url}/v1/config:reload", json=body, timeout=START_S).status_code == 200
        assert process.predict("m", [0]).status_code == 200
        eventually(lambda: states(process), {version: "AVAILABLE", 3 - version: "END"})

    sizes = []
    for number in range(50):
        reload(1 + number % 2)
        sizes.append(resident_bytes(process))
    assert sizes[-1] < 1.05 * sizes[4], [size >> 20 for size in sizes]


def states(process):
    body = httpx.get(f"{process.url}/v1/models/m").json()
    return {int(line["version"]): line["state"] for line in body["model_version_status"]}
