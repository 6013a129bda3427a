import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from serving.flags import parse_command_line

ROOT = Path(__file__).resolve().parents[2]
ENTRYPOINT = ROOT / "deploy" / "tf_serving_entrypoint.sh"
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
KUBERNETES = (ROOT / "deploy" / "kubernetes.yaml").read_text()
WAIT_S = 60


def instructions(name):
    joined = re.sub(r"\\\n\s*", " ", DOCKERFILE.rpartition("\nFROM ")[2])
    return [line.removeprefix(name).strip() for line in joined.splitlines() if line.startswith(f"{name} ")]


def command(folder, script):
    """A folder for PATH in which tensorflow_model_server is `script`."""
    program = folder / "tensorflow_model_server"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


# The contract of the tensorflow/serving image: environment and arguments to the server's flags
@pytest.mark.parametrize(
    "environment, arguments, flags",
    [
        ({}, [], ["--model_name=model", "--model_base_path=/models/model"]),
        ({"MODEL_NAME": "m"}, [], ["--model_name=m", "--model_base_path=/models/m"]),
        ({"MODEL_NAME": "m", "MODEL_BASE_PATH": "/data"}, [], ["--model_name=m", "--model_base_path=/data/m"]),
        (
            {"MODEL_NAME": "two words"},
            ["--model_config_file=/models/my models.config", "--enable_batching"],
            [
                "--model_name=two words",
                "--model_base_path=/models/two words",
                "--model_config_file=/models/my models.config",
                "--enable_batching",
            ],
        ),
    ],
)
def test_entrypoint_makes_flags_of_the_environment(tmp_path, environment, arguments, flags):
    path = command(tmp_path, "printf '%s\\n' \"$@\"")

    printed = subprocess.run(
        [ENTRYPOINT, *arguments], env={"PATH": path, **environment}, capture_output=True, text=True, check=True
    ).stdout

    assert printed.splitlines() == ["--port=8500", "--rest_api_port=8501", *flags]


def test_image_keeps_the_contract():
    assert instructions("EXPOSE") == ["8500 8501"]
    assert {"MODEL_NAME=model", "MODEL_BASE_PATH=/models"} <= set(instructions("ENV")[0].split())
    assert json.loads(instructions("ENTRYPOINT")[0]) == ["/usr/bin/tf_serving_entrypoint.sh"]
    assert "/usr/bin/tensorflow_model_server" in instructions("RUN")[0]


def test_image_runs_as_a_user_that_kubernetes_can_tell_from_root():
    assert instructions("USER") == ["1000"]


class Container:
    """The entrypoint with a real server behind it, in an environment as bare as the image's."""

    def __init__(self, base_path, folder, port, rest_port):
        self.process = subprocess.Popen(
            [ENTRYPOINT, f"--port={port}", f"--rest_api_port={rest_port}"],
            env={
                "PATH": command(folder, f'exec {sys.executable} -m serving.server "$@"'),
                "HOME": str(folder),
                "PYTHONPATH": str(ROOT),
                "MODEL_NAME": Path(base_path).name,
                "MODEL_BASE_PATH": str(Path(base_path).parent),
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_serving(self):
        watchdog = threading.Timer(WAIT_S, self.process.kill)
        watchdog.start()
        log = []
        for line in self.process.stderr:
            log.append(line)
            if "Exporting HTTP/REST API" in line:
                watchdog.cancel()
                return
        watchdog.cancel()
        pytest.fail("The server ended instead of serving:\n" + "".join(log))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=WAIT_S)
        return self.process.returncode


def test_container_serves_is_healthy_and_ends_in_order(saved_model, free_port, tmp_path):
    health = json.loads(re.search(r"CMD (\[.*\])", instructions("HEALTHCHECK")[0])[1])
    rest_port = free_port()
    check = [sys.executable, *(word.replace("8501", str(rest_port)) for word in health[1:])]
    container = Container(saved_model(), tmp_path, free_port(), rest_port)
    try:
        container.wait_until_serving()
        healthy = subprocess.run(check).returncode
        asked = set(re.findall(r"path: (/v1/[^,}]*|/metrics)", KUBERNETES))
        statuses = [urllib.request.urlopen(f"http://127.0.0.1:{rest_port}{path}").status for path in asked]
        url = f"http://127.0.0.1:{rest_port}/v1/models/half_plus_two:predict"
        with urllib.request.urlopen(url, b'{"instances": [1.0, 2.0, 5.0]}', timeout=WAIT_S) as response:
            predictions = json.load(response)["predictions"]
    finally:
        status = container.stop()

    assert healthy == 0
    assert statuses == [200] * 3
    assert predictions == [2.5, 3.0, 4.5]
    assert status == 0
    assert subprocess.run(check, stderr=subprocess.DEVNULL).returncode != 0


def test_kubernetes_example_is_the_images():
    assert re.findall(r"containerPort: (\d+)", KUBERNETES) == instructions("EXPOSE")[0].split()
    (arguments,) = re.findall(r"args: (\[.*\])", KUBERNETES)
    assert parse_command_line(["--model_base_path=/m", *json.loads(arguments)]).notices == ()
