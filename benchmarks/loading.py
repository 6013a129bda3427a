"""What callers of one model feel while another loads: their p99 during loading against their p99 before.

    python -m benchmarks.loading

A server process serves All-CNN-C at width 1/3. Two callers ask it at a fixed rate over REST, in turns with nothing else
going on and while versions of a second model, All-CNN-C at width 1, load and unload without pause. Turns, so that a
machine that others slow down for a while slows both.
"""

import contextlib
import dataclasses
import http.client
import json
import pathlib
import tempfile
import threading
import time
from typing import Literal

import numpy as np
import tyro

from benchmarks.load import free_port, server_process
from training.quiet import import_tensorflow

CALLERS, PAUSE_S, TURNS = 2, 0.02, 4
IMAGE = {"instances": np.zeros((1, 28, 28, 1), int).tolist()}


@dataclasses.dataclass(frozen=True)
class LoadingConfig:
    """Measure what callers of one model feel while another loads."""

    seconds: float = 20.0
    """of asking, without loads and with them"""
    engine: Literal["auto", "tensorflow"] = "auto"
    """the server's flag"""


def main(argv=None):
    config = tyro.cli(LoadingConfig, args=argv, use_underscores=True)
    seconds = config.seconds
    import_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        write_model(root, "asked", width=1 / 3, versions=1)
        write_model(root, "loaded", width=1.0, versions=2)
        with server(root, config.engine) as port:
            post(port, "/v1/config:reload", reload_request(root, loaded_version=1))
            ask_all(port, 1.0)
            alone_s, during_s, loads = [], [], []
            for _ in range(TURNS):
                alone_s += ask_all(port, seconds / TURNS)
                with loading(port, root, loads):
                    during_s += ask_all(port, seconds / TURNS)
    alone_ms, during_ms = p99_ms(alone_s), p99_ms(during_s)
    print(f"p99 {alone_ms:.1f} ms alone, {during_ms:.1f} ms during {len(loads)} loads")
    print(f"ratio {during_ms / alone_ms:.2f} (at most 2)")


def write_model(root, name, *, width, versions):
    import zoo
    from training.export import export

    model = zoo.build("all_cnn_c", input_shape=(28, 28, 1), num_classes=10, width=width)
    for _ in range(versions):
        export(model, root, name, class_names=[str(k) for k in range(10)], card={})


@contextlib.contextmanager
def server(root, engine):
    """A server process for the models under `root`; gives its REST port once it answers."""
    port = free_port()
    flags = [f"--models_root={root}", "--port=0", f"--rest_api_port={port}", "--rest_api_enable_admin"]
    flags += ["--file_system_poll_wait_seconds=-1", f"--engine={engine}"]
    with server_process(*flags):
        yield port


def reload_request(root, *, loaded_version):
    def model(name, version):
        policy = {"specific": {"versions": [version]}}
        path = str(root / name)
        return {"name": name, "basePath": path, "modelPlatform": "tensorflow", "modelVersionPolicy": policy}

    return {"modelConfigList": {"config": [model("asked", 1), model("loaded", loaded_version)]}}


@contextlib.contextmanager
def loading(port, root, loads):
    """Loads versions without pause meanwhile, and adds the time of each to `loads`."""
    stop = threading.Event()
    loader = threading.Thread(target=load_without_pause, args=(port, root, loads, stop))
    loader.start()
    try:
        yield
    finally:
        stop.set()
        loader.join()


def load_without_pause(port, root, loads, stop):
    while not stop.is_set():
        post(port, "/v1/config:reload", reload_request(root, loaded_version=2 - len(loads) % 2))
        loads.append(time.monotonic())


def p99_ms(latencies_s):
    return 1000 * float(np.percentile(latencies_s, 99))


def ask_all(port, seconds):
    found = []
    callers = [threading.Thread(target=ask, args=(port, seconds, found)) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return found


def ask(port, seconds, found):
    """Asks every PAUSE_S, on time whatever the last answer took, so that a stall is felt by all it would have hit."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps(IMAGE)
    due_s = start_s = time.monotonic()
    while due_s < start_s + seconds:
        time.sleep(max(0, due_s - time.monotonic()))
        connection.request("POST", "/v1/models/asked:predict", body)
        connection.getresponse().read()
        found.append(time.monotonic() - due_s)
        due_s += PAUSE_S


def post(port, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", path, json.dumps(body))
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise RuntimeError(f"{path}: {response.status} {answer!r}")
    connection.close()


if __name__ == "__main__":
    main()
