"""What a servable does with no protocol around it: the reference of benchmarks.serving.

    python -m benchmarks.engine models/m/1 auto

Prints, as JSON, images a second at each batch size (the caller in a loop, two seconds each) and the median of a batch
of one.
"""

import json
import time
from typing import Literal

import numpy as np
import tyro

from serving.quiet import import_tensorflow

BATCH_SIZES = (1, 4, 8, 16, 32)
SECONDS = 2.0


def main(path: tyro.conf.Positional[str], engine: tyro.conf.Positional[Literal["auto", "openvino", "tensorflow"]]):
    """Measures the version directory `path` on `engine`, and prints images a second at each batch size as JSON."""
    import_tensorflow()
    from serving.servable import load

    servable = load(path, engine=engine)
    images = np.random.default_rng(0).integers(0, 256, (max(BATCH_SIZES), 28, 28, 1), np.uint8)
    speeds, median_ms = {}, 0.0
    for size in BATCH_SIZES:
        times_s = durations(
            lambda size=size: servable.run("serving_default", {"images": images[:size]}, ["probabilities"])
        )
        speeds[size] = size * len(times_s) / sum(times_s)
        if size == 1:
            median_ms = 1e3 * float(np.median(times_s))
    print(json.dumps({"images_per_s": speeds, "one_ms": median_ms}))


def durations(run):
    run()
    times_s, end_s = [], time.perf_counter() + SECONDS
    while (started_s := time.perf_counter()) < end_s:
        run()
        times_s.append(time.perf_counter() - started_s)
    return times_s


if __name__ == "__main__":
    tyro.cli(main, prog="python -m benchmarks.engine")
