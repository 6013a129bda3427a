"""Loading in a process of its own: what it gives, and what becomes of it."""

import logging
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import httpx
import numpy as np
import pytest

from serving.errors import Code, ServingError
from serving.loader import Loader
from serving.servable import DEFAULT_OPTIONS, Engine, load

WAIT_S = 60
LOAD = {"tags": ("serve",), "engine": Engine.OPENVINO, "options": DEFAULT_OPTIONS}


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """A directory of two versions with a network, a signature that keeps state and one of strings."""
    import tensorflow as tf

    class Small(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable([[1.0], [2.0]])
            self.count = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
        def serving_default(self, x):
            return {"y": tf.matmul(x, self.kernel)}

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "by")])
        def counted(self, by):
            return {"count": self.count.assign_add(by)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
        def shout(self, text):
            return {"upper": tf.strings.upper(text)}

    root = tmp_path_factory.mktemp("small")
    module = Small()
    signatures = {name: getattr(module, name) for name in ("serving_default", "counted", "shout")}
    tf.saved_model.save(module, str(root / "1"), signatures)
    shutil.copytree(root / "1", root / "2")
    return root


@pytest.fixture(scope="module")
def loader():
    loader = Loader(idle_s=WAIT_S)
    yield loader
    loader.close()


def eventually(answer, wanted):
    deadline_s = time.monotonic() + WAIT_S
    while not wanted(found := answer()):
        assert time.monotonic() < deadline_s, found
    return found


def children(pid):
    """The processes that the process `pid` has started, by any of its threads."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in read(task).split()]


def loaders(pid):
    return [child for child in children(pid) if b"serving.loading_process" in command(child)]


def command(pid):
    return read(pathlib.Path(f"/proc/{pid}/cmdline"))


def read(path):
    """What /proc says; nothing of a process or thread that has ended."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


# What it gives


def test_model_loaded_in_a_child_has_the_signatures_reports_and_answers_of_one_loaded_here(loader, versions):
    here = load(versions / "1", engine=Engine.OPENVINO)
    beside = loader.load(versions / "1", **LOAD)
    assert len(loaders(os.getpid())) == 1
    assert beside.signatures == here.signatures
    assert beside.signature_defs == here.signature_defs
    assert beside.engine_report == here.engine_report
    assert beside.stateful == here.stateful == {"counted"}
    for name, inputs in {
        "serving_default": {"x": np.array([[3, 4], [5, 6]], np.float32)},
        "counted": {"by": np.float32(2)},
        "shout": {"text": np.array([b"a"], object)},
    }.items():
        outputs = list(here.signatures[name].outputs)
        for output, expected in here.run(name, inputs, outputs).items():
            np.testing.assert_array_equal(beside.run(name, inputs, outputs)[output], expected)
    here.close()
    beside.close()


def test_refusal_is_that_of_a_load_here_and_the_child_goes_on(loader, versions, tmp_path):
    with pytest.raises(ServingError) as refused:
        loader.load(tmp_path, **LOAD)
    assert refused.value.code is Code.NOT_FOUND
    assert refused.value.message.startswith("Could not find SavedModel .pb or .pbtxt")
    child = loaders(os.getpid())
    loader.load(versions / "1", **LOAD).close()
    assert loaders(os.getpid()) == child


# What becomes of it


def test_child_ends_when_there_is_nothing_to_load(versions):
    others = loaders(os.getpid())
    loader = Loader(idle_s=0)
    loader.load(versions / "1", **LOAD).close()
    eventually(lambda: loaders(os.getpid()), lambda found: found == others)
    loader.close()


@pytest.mark.parametrize("command", [("/no/such/python",), (sys.executable, "-c", "raise SystemExit(77)")])
def test_model_loads_in_this_process_where_no_child_can_start(command, versions, caplog):
    loader = Loader(command=command)
    with caplog.at_level(logging.WARNING, "serving.loader"):
        servable = loader.load(versions / "1", **LOAD)
    assert servable.engine_report["serving_default"].startswith("openvino: ")
    assert "loads in the server's process, which callers may feel" in caplog.text
    servable.close()
    loader.close()


CRASHING = """
import os, signal, sys
from serving import loading_process, network
network.Network.of = lambda *arguments: os.kill(os.getpid(), signal.{signal})
sys.exit(loading_process.main())
"""


@pytest.mark.parametrize("crash", ["SIGSEGV", "SIGABRT"])
def test_model_whose_conversion_crashes_the_child_is_tensorflows(crash, versions, caplog):
    loader = Loader(command=(sys.executable, "-c", CRASHING.format(signal=crash)))
    for version in ("1", "2"):
        servable = loader.load(versions / version, **LOAD)
        assert servable.engine_report["serving_default"] == f"tensorflow: its conversion for OpenVINO ended by {crash}"
        found = servable.run("serving_default", {"x": np.array([[3, 4]], np.float32)}, ["y"])
        np.testing.assert_array_equal(found["y"], [[11]])
        assert f"was killed by {crash} while it loaded {versions / version}. TensorFlow runs it." in caplog.text
        servable.close()
    loader.close()


HANGING = """
import os, signal, sys
from serving import loading_process, network
network.Network.of = lambda *arguments: os.kill(os.getpid(), signal.SIGSTOP)
sys.exit(loading_process.main())
"""


def test_model_whose_conversion_takes_too_long_is_tensorflows(versions):
    loader = Loader(command=(sys.executable, "-c", HANGING), conversion_s=1)
    servable = loader.load(versions / "1", **LOAD)
    assert servable.engine_report["shout"] == "tensorflow: its conversion for OpenVINO took more than 1 s"
    servable.close()
    loader.close()


WRITING = """
import sys, tempfile
from serving import loading_process
open(tempfile.mkdtemp() + "/network.pb", "w").close()
sys.exit(loading_process.main())
"""


def test_what_a_killed_child_has_written_goes_with_it(versions, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    loader = Loader(command=(sys.executable, "-c", WRITING))
    loader.load(versions / "1", **LOAD).close()
    assert list(tmp_path.glob("*/*/network.pb"))
    loader.close()
    assert not list(tmp_path.iterdir())


def test_where_no_child_can_start_a_server_takes_back_the_tensorflow_that_it_left_out(versions):
    program = f"""
import pathlib, sys
from serving.quiet import leave_out_tensorflow
leave_out_tensorflow()
from serving.loader import Loader
from serving.servable import DEFAULT_OPTIONS
loader = Loader(command=("/no/such/python",))
path = pathlib.Path({str(versions / "1")!r})
servable = loader.load(path, tags=("serve",), engine="openvino", options=DEFAULT_OPTIONS)
print(servable.engine_report["serving_default"], "tensorflow.python" in sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("openvino: within ")
    assert ended.stdout.endswith(" True\n")


def test_closed_loader_loads_nothing(versions):
    loader = Loader()
    loader.close()
    with pytest.raises(ServingError) as refused:
        loader.load(versions / "1", **LOAD)
    assert refused.value.code is Code.UNAVAILABLE


@pytest.fixture
def serving(launch, versions, tmp_path):
    """A server of version 1, and its base path."""
    base_path = tmp_path / "m"
    shutil.copytree(versions / "1", base_path / "1")
    flags = ["--model_name=m", f"--model_base_path={base_path}", "--engine=auto", "--load_retry_interval_micros=0"]
    return launch(*flags).wait_until_started(), base_path


def start_loading(process, base_path, versions):
    """Adds version 2; gives the process that loads it, which is not done yet: TensorFlow's import takes seconds."""
    shutil.copytree(versions / "2", base_path / "coming")
    (base_path / "coming").rename(base_path / "2")
    return eventually(lambda: loaders(process.popen.pid), lambda found: len(found) == 1)[0]


def statuses(process):
    body = httpx.get(f"{process.url}/v1/models/m").json()
    return {int(line["version"]): line for line in body["model_version_status"]}


def test_no_child_is_left_once_the_server_answers_and_the_next_version_has_one(serving, versions):
    process, base_path = serving
    assert not loaders(process.popen.pid)
    start_loading(process, base_path, versions)
    eventually(lambda: statuses(process), lambda found: found.get(2, {}).get("state") == "AVAILABLE")
    assert process.predict("m", [[1.0, 1.0]]).json() == {"predictions": [[3.0]]}


def test_killed_child_is_a_failed_load_that_is_tried_again_while_the_old_version_serves(serving, versions):
    process, base_path = serving
    os.kill(start_loading(process, base_path, versions), signal.SIGKILL)
    process.wait_for("The process that loads models was killed by SIGKILL while it loaded")
    assert process.predict("m", [[1.0, 1.0]]).status_code == 200
    eventually(lambda: statuses(process), lambda found: found[2]["state"] == "AVAILABLE")


def test_server_that_stops_during_a_load_takes_the_child_along(serving, versions):
    process, base_path = serving
    child = start_loading(process, base_path, versions)
    process.popen.send_signal(signal.SIGTERM)
    status, output = process.ended()
    assert status == 0
    assert "Traceback" not in output and "failed" not in output
    assert not command(child)


def test_server_that_is_killed_during_a_load_takes_the_child_along(serving, versions):
    process, base_path = serving
    child = start_loading(process, base_path, versions)
    process.popen.kill()
    process.popen.wait()
    eventually(lambda: command(child), lambda line: not line)
