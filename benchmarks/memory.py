"""Resident memory of the server under requests of mixed sizes, which is to be flat.

    python -m benchmarks.memory                              # 200,000 requests as fast as they are answered
    python -m benchmarks.memory --seconds 3600 --rate 100    # an hour's load

All-CNN-C at width 1/3, 1 to 64 images a request, half of the requests over gRPC and half over REST. h2load makes the
load, in rounds of one size and protocol; several rounds run side by side, so that sizes meet in the server.
"""

import dataclasses
import itertools
import pathlib
import random
import re
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import tyro

from benchmarks.load import GRPC_HEADERS, h2load, serve
from benchmarks.serving import grpc_body, rest_body, write_model
from benchmarks.table import HEADER, Row
from serving.quiet import import_tensorflow

SIZES = range(1, 65)
ROUND, SIDE_BY_SIDE = 100, 4
MARKS = (0.01, 0.1, 0.25, 0.5, 0.75, 1)
"""Shares of the load after which memory is read; the last is compared with that after a tenth."""


@dataclasses.dataclass(frozen=True)
class MemoryConfig:
    """Measure the server's resident memory under requests of 1 to 64 images."""

    requests: int = 200_000
    """how many to send, unless `seconds` says how long"""
    seconds: float = 0
    """how long to send, whatever the number"""
    rate: float = 0
    """requests a second; 0 for as many as are answered"""

    def __post_init__(self):
        if self.requests < 100 * ROUND and not self.seconds:
            raise ValueError(f"requests must be at least {100 * ROUND:,} for a figure, got {self.requests:,}.")


class Progress:
    """How much of the load is done, counted from several threads, and memory at each mark."""

    def __init__(self, config, server):
        self.config, self.server = config, server
        self.sent, self.read_mb, self.started_s = 0, {}, time.monotonic()
        self.lock = threading.Lock()

    def share(self):
        if self.config.seconds:
            return (time.monotonic() - self.started_s) / self.config.seconds
        return self.sent / self.config.requests

    def add(self, requests):
        with self.lock:
            self.sent += requests
            for mark in MARKS:
                if self.share() >= mark and mark not in self.read_mb:
                    self.read_mb[mark] = self.server.resident_mb()
                    print(f"| {self.label(mark)} | {self.read_mb[mark]:,.0f} |", flush=True)

    def label(self, mark):
        if self.config.seconds:
            return f"after {mark * self.config.seconds:,.0f} s, {self.sent:,} requests"
        return f"after {mark * self.config.requests:,.0f} requests"


def main(argv=None):
    config = tyro.cli(MemoryConfig, args=argv, use_underscores=True)
    import_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        path = write_model(pathlib.Path(folder), 1 / 3)
        with serve(path) as server:
            print(f"| resident, width 1/3, 1 to 64 images a request | MB |\n| --- | --- |\n"
                  f"| ready | {server.resident_mb():,.0f} |", flush=True)  # fmt: skip
            progress = Progress(config, server)
            send(config, server, progress)
            answered = server.good_answers()
    if answered < progress.sent:
        raise RuntimeError(f"Of {progress.sent:,} requests {answered:,.0f} were answered well.")
    tenth, end = progress.read_mb[0.1], progress.read_mb[1]
    pair = f"{end:,.0f} : {tenth:,.0f} MB"
    print(f"\n{HEADER}\n{Row('resident, end by a tenth', pair, end / tenth, 1.03, is_limit=True)}")


def send(config, server, progress):
    rate = [f"--rps={config.rate / SIDE_BY_SIDE}"] if config.rate else []
    bodies = {size: (grpc_body(size), rest_body(size)) for size in SIZES}
    deck = itertools.cycle(random.Random(0).sample([*itertools.product(SIZES, ("grpc", "rest"))], 2 * len(SIZES)))

    def lane():
        while progress.share() < 1:
            with progress.lock:
                size, protocol = next(deck)
            grpc, rest = bodies[size]
            if protocol == "grpc":
                output, _ = h2load(server.grpc_url(), grpc, GRPC_HEADERS, f"-n{ROUND}", "-c1", "-m4", *rate)
            else:
                output, _ = h2load(server.rest_url(), rest, (), "--h1", f"-n{ROUND}", "-c1", *rate)
            succeeded = int(re.search(r"(\d+) succeeded", output)[1])  # over gRPC that says nothing of its status
            if not succeeded:
                raise RuntimeError(f"A round of {ROUND} requests of {size} images got no answer.\n{output}")
            progress.add(succeeded)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for future in [pool.submit(lane) for _ in range(SIDE_BY_SIDE)]:
            future.result()


if __name__ == "__main__":
    main()
