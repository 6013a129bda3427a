"""Images a second at 32 waiting callers: this server against others that serve the same SavedModel.

    python -m benchmarks.rivals                          # the four, about five minutes
    python -m benchmarks.rivals --names litserve ray

All-CNN-C at width 1/3, an image of 28x28x1 a request, untrained, on the processors this process may use, which h2load
shares. Every rival runs TensorFlow of this environment's version with its own batching on, once with each of its
settings in `RIVALS`, of which its best counts; ours runs without flags. Each is first asked 32 different images at
once, and its answers are held against the SavedModel's.

The four cannot share an environment (MLServer 1.7 needs a Starlette below 0.47, this server and Ray Serve 1.0), so each
gets its own under build/rivals, made by uv with hard links: 2.5 GB in all, and minutes where nothing is cached yet.
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tyro

from benchmarks.load import free_port, h2load, serve, speeds, timed
from benchmarks.serving import grpc_body, images, ratio, rest_body, write_model
from benchmarks.table import HEADER
from serving.quiet import import_tensorflow

SECONDS, WAITING, BAR, START_S = 3, 32, 4.0, 90
JSON = ("content-type: application/json",)
ENVIRONMENTS = pathlib.Path("build/rivals").absolute()
SERVERS = pathlib.Path(__file__).with_name("rival_servers")


class Setting(NamedTuple):
    """Worker processes, TensorFlow's threads in each, images a batch, and the milliseconds its batching may take.

    No worker processes: TensorFlow runs in the server's own.
    """

    workers: int
    threads: int
    rows: int
    wait_ms: float
    mode: str = ""

    def __str__(self):
        processes = f"{self.workers} x {self.threads} threads, batches of {self.rows}, {self.wait_ms:g} ms"
        return f"{processes}, {self.mode}" if self.mode else processes


class Rival(NamedTuple):
    """Another server: what installs it, where it answers, and its JSON for an image and for an answer."""

    requirements: tuple[str, ...]
    path: str
    question: Callable
    answer: Callable
    settings: tuple[Setting, ...]


FAST = "high-throughput mode"
MODES = {"": {}, FAST: {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_SERVE_ENABLE_HA_PROXY": "1"}}
"""Variables of a setting's mode. Ray Serve's guide has this one: HAProxy in front, and straight to the replicas."""

RIVALS = {
    "litserve": Rival(
        ("litserve==0.2.19",),
        "/predict",
        lambda image: {"image": image.tolist()},
        lambda reply: reply["probabilities"],
        (Setting(1, 2, 32, 5), Setting(2, 1, 16, 5)),
    ),
    "ray": Rival(
        ("ray[serve]==2.60.0",),
        "/predict",
        lambda image: {"image": image.tolist()},
        lambda reply: reply["probabilities"],
        (Setting(1, 2, 32, 5, FAST), Setting(2, 1, 16, 5, FAST), Setting(2, 1, 16, 5)),
    ),
    "bentoml": Rival(
        ("bentoml==1.4.40",),
        "/predict",
        lambda image: {"images": [image.tolist()]},
        lambda reply: reply[0],
        (Setting(1, 2, 32, 60_000), Setting(2, 1, 16, 60_000)),  # its default: a bound past which it refuses
    ),
    "mlserver": Rival(
        ("mlserver==1.7.1", "uvloop==0.21.0"),  # its workers do not start on a later uvloop
        "/v2/models/m/infer",
        lambda image: {
            "inputs": [
                {"name": "images", "shape": [1, *image.shape], "datatype": "UINT8", "data": image.ravel().tolist()}
            ]
        },
        lambda reply: reply["outputs"][0]["data"],
        (Setting(0, 2, 32, 5), Setting(2, 1, 16, 5)),
    ),
}


@dataclasses.dataclass(frozen=True)
class RivalsConfig:
    """Compare this server's images a second with other servers'."""

    names: tuple[str, ...] = tuple(RIVALS)
    """which of them"""

    def __post_init__(self):
        for name in self.names:
            if name not in RIVALS:
                raise ValueError(f"Unknown rival {name!r}. Known rivals: {', '.join(RIVALS)}.")


def main(argv=None):
    names = tyro.cli(RivalsConfig, args=argv, use_underscores=True).names
    for name in names:
        install(name)
    import_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        path = write_model(pathlib.Path(folder), 1 / 3)
        asked = images(WAITING)
        expected = answers(path, asked)
        print(HEADER, flush=True)
        with serve(path) as server:
            tried = {name: compare(name, server, path, asked, expected) for name in names}
        with serve(path, "--engine=tensorflow") as server:
            on_tensorflow = our_speeds(server)
    print("\nimages/s:")
    print("* ours on TensorFlow too: " + ", ".join(f"{name} {speed:,.0f}" for name, speed in on_tensorflow.items()))
    for name, speeds_found in tried.items():
        print(f"* {name}: " + "; ".join(f"{speed:,.0f} ({setting})" for setting, speed in speeds_found.items()))


def compare(name, server, path, asked, expected):
    """Prints the rows of `name`, ours measured right after it, and returns its images a second at each setting."""
    tried = {setting: rival_speed(name, setting, path, asked, expected) for setting in RIVALS[name].settings}
    fastest = max(tried.values())
    for protocol, speed in our_speeds(server).items():
        print(
            ratio(f"{protocol} by {RIVALS[name].requirements[0].replace('==', ' ')}", speed, fastest, BAR), flush=True
        )
    return tried


def install(name):
    """An environment of its own; nothing to do where it is there already."""
    uv, folder = [sys.executable, "-m", "uv"], ENVIRONMENTS / name
    tensorflow = f"tensorflow=={importlib.metadata.version('tensorflow')}"
    subprocess.run([*uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, folder], check=True)
    install = [*uv, "pip", "install", "--quiet", "--python", folder / "bin/python", *RIVALS[name].requirements]
    subprocess.run([*install, tensorflow], check=True)


def answers(path, asked):
    """The SavedModel's own, through TensorFlow."""
    import tensorflow as tf

    model = tf.saved_model.load(path / "1")
    return model.signatures["serving_default"](images=tf.constant(asked))["probabilities"].numpy()


def our_speeds(server):
    grpc = server.ask_grpc(grpc_body(1), seconds=SECONDS, waiting=WAITING)
    rest = server.ask_rest(rest_body(1), seconds=SECONDS, waiting=WAITING)
    return {"REST": rest.requests_per_s, "gRPC": grpc.requests_per_s}


def rival_speed(name, setting, path, asked, expected):
    rival = RIVALS[name]
    with rival_server(name, setting, path) as (process, url):
        wait_until_ready(process, url, body(rival, asked[0]))
        with ThreadPoolExecutor(WAITING) as pool:
            replies = pool.map(lambda image: rival.answer(post(url, body(rival, image))), asked)
            apart = np.abs(np.asarray([*replies]) - expected).max()
        if apart > 1e-4:
            raise RuntimeError(f"{name} answers up to {apart:.1e} away from the SavedModel's probabilities.")
        flags = ("--h1", f"-c{WAITING}", "-m1")
        output, log = h2load(url, body(rival, asked[0]), JSON, *timed(SECONDS), *flags)
    if (log[:, 1] >= 400).any():
        raise RuntimeError(f"{name} refused requests at {setting}.\n{output}")
    return speeds(log)[0]


def body(rival, image):
    return json.dumps(rival.question(image)).encode()


@contextlib.contextmanager
def rival_server(name, setting, path):
    """The server's process and URL, from its start to the end of the last of its processes."""
    port, side_port = free_port(), free_port()
    asked = {"path": path / "1", "port": port, "side_port": side_port, **setting._asdict()}
    variables = {f"RIVAL_{key.upper()}": str(value) for key, value in asked.items() if key != "mode"}
    python = ENVIRONMENTS / name / "bin/python"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [python, SERVERS / f"on_{name}.py"],
            cwd=SERVERS,
            env={**os.environ, **variables, **MODES[setting.mode], "CUDA_VISIBLE_DEVICES": ""},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process, f"http://127.0.0.1:{port}{RIVALS[name].path}"
        except Exception:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace")[-4000:])
            raise
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_until_ready(process, url, question):
    end_s = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end_s:
        with contextlib.suppress(OSError):  # urllib's errors: not listening yet, or 404 and 503 while it loads
            post(url, question)
            return
        time.sleep(0.2)
    raise RuntimeError(f"{url} gave no answer within {START_S} s of its start; what its server said is above.")


def post(url, question):
    request = urllib.request.Request(url, question, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


if __name__ == "__main__":
    main()
