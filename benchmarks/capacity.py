"""From measured processor milliseconds an image to replicas, cores and cost at a given load.

    python -m benchmarks.serving       # writes results/serving.json
    python -m benchmarks.capacity --width 1/3 --cores 2 --dollars_per_core_hour 0.04

Prints docs/capacity.md's table. A replica is a server process on `cores` cores, loaded to `utilization` of what it can
do, beyond which waiting grows faster than throughput.
"""

import dataclasses
import json
import math
import sys

import tyro

from benchmarks.serving import RESULTS

LOADS = (10, 10_000, 1_000_000)  # images a second
HOURS_A_MONTH = 730
PROTOCOLS = {
    "gRPC, an image a call": ("grpc_ms", 860),
    "gRPC, 32 images a call": ("grpc_32_ms", 790),
    "REST, an image as JSON": ("rest_ms", 5_200),
}
"""The figure in results/serving.json, and bytes an image on the wire, for 28x28x1."""


@dataclasses.dataclass(frozen=True)
class Capacity:
    """Replicas, cores and cost for the loads of docs/capacity.md."""

    width: str = "1/3"
    """which network of results/serving.json: 1 or 1/3"""
    cores: int = 2
    """cores a replica has"""
    utilization: float = 0.7
    """share of a replica's throughput that is used"""
    dollars_per_core_hour: float = 0.04
    """price of a core"""

    def __post_init__(self):
        if not 0 < self.utilization <= 1:
            raise ValueError(f"utilization is a share above 0 and up to 1, got {self.utilization}.")


def main(argv=None):
    config = tyro.cli(Capacity, args=argv, prog="python -m benchmarks.capacity")
    if not RESULTS.exists():
        sys.exit(f"There is no {RESULTS} here. `python -m benchmarks.serving` measures and writes it.")
    figures = json.loads(RESULTS.read_text())[config.width]
    print("| images/s | protocol | core-ms an image | replicas | cores | network, Mbit/s | $ a month |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for load in LOADS:
        for name, (figure, size_bytes) in PROTOCOLS.items():
            replicas = replicas_for(load, figures[figure], config)
            cores = replicas * config.cores
            dollars = cores * config.dollars_per_core_hour * HOURS_A_MONTH
            network = load * size_bytes * 8 / 1e6
            cells = (f"{load:,}", name, f"{figures[figure]:.2f}", f"{replicas:,}", f"{cores:,}", f"{network:,.1f}")
            print(f"| {' | '.join(cells)} | {dollars:,.0f} |")


def replicas_for(images_per_s, core_ms, config):
    """At least two, so that one may fail."""
    return max(2, math.ceil(images_per_s * core_ms / 1e3 / (config.cores * config.utilization)))


if __name__ == "__main__":
    main()
