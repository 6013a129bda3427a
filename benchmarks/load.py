"""A served model under load: the server as a process of its own, and h2load, which is C, asking it.

h2load (Debian's nghttp2-client) speaks gRPC if it is given a request with gRPC's five-byte prefix, and REST with --h1.
It does not read gRPC's status, so every run is checked against the server's own count of good answers.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import numpy as np

GRPC_PATH = "/tensorflow.serving.PredictionService/Predict"
GRPC_HEADERS = ("content-type: application/grpc", "te: trailers")
METRICS_PATH = "/monitoring/prometheus/metrics"
WARM_UP_S = 1


class Load(NamedTuple):
    """What a run of h2load saw, and the processor time the server took for each request of it."""

    requests_per_s: float
    median_ms: float
    p99_ms: float
    server_ms: float


class Server(NamedTuple):
    """A running server of the one model `m`."""

    process: subprocess.Popen
    grpc_port: int
    rest_port: int
    ready_s: float

    def cpu_s(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def good_answers(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rest_port}{METRICS_PATH}") as page:
            found = re.search(r'^:tensorflow:serving:request_count{.*status="OK"} (\S+)', page.read().decode(), re.M)
        return float(found[1]) if found else 0.0

    def grpc_url(self):
        return f"http://127.0.0.1:{self.grpc_port}{GRPC_PATH}"

    def rest_url(self):
        return f"http://127.0.0.1:{self.rest_port}/v1/models/m:predict"

    def ask_grpc(self, body, *, seconds, waiting, rate=None):
        """Load from one connection with `waiting` calls in flight, or `rate` calls a second whatever is in flight."""
        flags = ("-c1", f"-m{waiting}", *([f"--rps={rate:.0f}"] if rate else []))
        return self._ask(self.grpc_url(), body, GRPC_HEADERS, seconds, flags)

    def ask_rest(self, body, *, seconds, waiting):
        """Load from `waiting` connections with one request in flight on each."""
        return self._ask(self.rest_url(), body, (), seconds, ("--h1", f"-c{waiting}", "-m1"))

    def _ask(self, url, body, headers, seconds, flags):
        before_s, before = self.cpu_s(), self.good_answers()
        output, log = h2load(url, body, headers, *timed(seconds), *flags)
        answered = self.good_answers() - before
        if answered < 0.98 * len(log):
            raise RuntimeError(f"Of {len(log)} requests {answered:.0f} were answered well.\n{output}")
        return Load(*speeds(log), 1e3 * (self.cpu_s() - before_s) / answered)


def timed(seconds):
    return f"-D{seconds}", f"--warm-up-time={WARM_UP_S}"


def h2load(url, body, headers, *flags):
    """What h2load prints, and its log: of each request after the warm-up its start in us, its status, and us."""
    path = shutil.which("h2load")
    if path is None:
        raise SystemExit("h2load makes the load and is not installed: apt-get install nghttp2-client")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "body").write_bytes(body)
        command = [path, f"-d{folder}/body", f"--log-file={folder}/log", *(f"-H{header}" for header in headers)]
        output = subprocess.run([*command, *flags, url], check=True, capture_output=True, text=True).stdout
        return output, np.loadtxt(f"{folder}/log", ndmin=2)


def speeds(log):
    """Requests a second, and the median and 99th percentile of a request's ms."""
    starts_s, latencies_ms = log[:, 0] / 1e6, log[:, 2] / 1e3
    return len(log) / (starts_s.max() - starts_s.min()), np.median(latencies_ms), np.percentile(latencies_ms, 99)


@contextlib.contextmanager
def serve(base_path, *flags):
    """A server process of the model at `base_path`, from the command to its last port open."""
    ports = free_port(), free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as monitoring:
        monitoring.write("prometheus_config { enable: true }")
        monitoring.flush()
        given = [
            f"--model_base_path={base_path}",
            "--model_name=m",
            f"--port={ports[0]}",
            f"--rest_api_port={ports[1]}",
        ]
        given += [f"--monitoring_config_file={monitoring.name}", *flags]
        started_s = time.perf_counter()
        with server_process(*given) as process:
            yield Server(process, *ports, time.perf_counter() - started_s)


@contextlib.contextmanager
def server_process(*flags):
    """`python -m serving.server`, once its last port is open."""
    process = subprocess.Popen([sys.executable, "-m", "serving.server", *flags], stderr=subprocess.PIPE, text=True)
    try:
        told = ""
        for line in process.stderr:
            told += line
            if "Exporting HTTP/REST API" in line:
                break
        else:
            raise SystemExit(f"The server did not start:\n{told}")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield process
    finally:
        process.terminate()
        process.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
