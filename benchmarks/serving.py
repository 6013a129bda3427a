"""The server against the engine it runs, on the same processors in the same call: a table of ratios and their bars.

    python -m benchmarks.serving            # three minutes on an otherwise idle machine

All-CNN-C on 28x28x1 at width 1 and 1/3, untrained, since speed does not depend on the weights. The reference is the
engine in a loop with no protocol around it, at the batch size that suits it best, before and after the server's run;
the faster of the two counts. The load generator shares the processors with the server. Figures for benchmarks.capacity
go to results/serving.json.
"""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np
import tyro

from benchmarks.load import serve
from benchmarks.table import HEADER, Row
from serving.quiet import import_tensorflow

SECONDS = 5
WIDTHS = {"1": 1.0, "1/3": 1 / 3}
RESULTS = pathlib.Path("results/serving.json")
LEGEND = """\
Images a second: the server's : the reference's. Unless "32s", "alone" or "70%"
says else, 32 callers wait for an image each. "32s": 4 callers, 32 images each.
"alone": ms one caller waits - ms the engine takes, and the difference.
"70%": open loop at 70% of the first row's rate, ms at p99 : p50.
"in bfloat16": --mixed_precision=bfloat16 : the first row's rate.
"""


def main():
    """Measures the server against its engine for three minutes; prints the table, and writes results/serving.json."""
    started_s = time.monotonic()
    import_tensorflow()  # quietly, since the protocol's messages import it
    print(f"{LEGEND}\n{HEADER}", flush=True)
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {
            name: write_model(pathlib.Path(folder) / name.replace("/", "_"), width) for name, width in WIDTHS.items()
        }
        for name, path in paths.items():
            rows, figures[name] = width_rows(name, path)
            print(*rows, sep="\n", flush=True)
        print(start_row(paths["1/3"]), flush=True)
    print("\nResident, MB, when ready and after it all:")
    for name, row in figures.items():
        print(f"width {name}: {row['ready_mb']:.0f}, {row['loaded_mb']:.0f}")
    print(f"It took {time.monotonic() - started_s:.0f} s.")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1))


def write_model(root, width):
    """In a process of its own: this one must stay small beside the server."""
    code = (
        "import sys, zoo; from training.export import export;"
        "model = zoo.build('all_cnn_c', input_shape=(28, 28, 1), num_classes=10, width=float(sys.argv[2]));"
        "export(model, sys.argv[1], 'm', class_names=list('0123456789'), card={})"
    )
    subprocess.run([sys.executable, "-c", code, str(root), str(width)], check=True, capture_output=True)
    return root / "m"


def engine(path, name):
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.engine", str(path / "1"), name], check=True, capture_output=True, text=True
    ).stdout
    return json.loads(output)


def best(*runs):
    return max(speed for run in runs for speed in run["images_per_s"].values())


def width_rows(name, path):
    """The rows of one width and, for benchmarks.capacity, processor milliseconds an image and resident megabytes."""
    before = engine(path, "auto")
    with serve(path) as server:
        figures = {"ready_mb": server.resident_mb()}
        single = server.ask_grpc(grpc_body(1), seconds=SECONDS, waiting=32)
        many = server.ask_grpc(grpc_body(32), seconds=SECONDS, waiting=4)
        rest = server.ask_rest(rest_body(1), seconds=SECONDS, waiting=32)
        alone = server.ask_grpc(grpc_body(1), seconds=SECONDS, waiting=1)
        steady = server.ask_grpc(grpc_body(1), seconds=SECONDS, waiting=128, rate=0.7 * single.requests_per_s)
        figures["loaded_mb"] = server.resident_mb()
    with serve(path, "--mixed_precision=bfloat16") as server:
        mixed = server.ask_grpc(grpc_body(1), seconds=SECONDS, waiting=32)
    bare, bare_tf = best(before, engine(path, "auto")), best(engine(path, "tensorflow"))
    figures |= {"grpc_ms": single.server_ms, "rest_ms": rest.server_ms, "grpc_32_ms": many.server_ms / 32}
    figures["engine_ms"] = 1e3 * len(os.sched_getaffinity(0)) / bare
    rows = [*comparisons(name, single, many, rest, bare, bare_tf), *latencies(name, alone, steady, before["one_ms"])]
    rows.append(ratio(f"gRPC, width {name}, in bfloat16", mixed.requests_per_s, single.requests_per_s, None))
    return rows, figures


def comparisons(name, single, many, rest, bare, bare_tf):
    bar, bar_tf = {"1": (0.90, 1.10), "1/3": (0.60, 1.00)}[name]
    yield ratio(f"gRPC, width {name}, by engine", single.requests_per_s, bare, bar)
    yield ratio(f"gRPC, width {name}, by TensorFlow", single.requests_per_s, bare_tf, bar_tf)
    if name == "1":
        yield ratio("gRPC, 32s, width 1, by engine", 32 * many.requests_per_s, bare, 0.95)
    else:
        yield ratio(f"REST, width {name}, by gRPC", rest.requests_per_s, single.requests_per_s, 0.60)


def ratio(what, speed, reference, bar):
    return Row(what, f"{speed:,.0f} : {reference:,.0f} /s", speed / reference, bar)


def latencies(name, alone, steady, engine_ms):
    pair = f"{alone.median_ms:.2f} - {engine_ms:.2f} ms"
    yield Row(f"gRPC, width {name}, alone", pair, alone.median_ms - engine_ms, 0.6, is_limit=True)
    pair = f"{steady.p99_ms:.1f} : {steady.median_ms:.1f} ms"
    yield Row(f"gRPC, width {name}, 70%", pair, steady.p99_ms / steady.median_ms, 3, is_limit=True)


def start_row(path):
    """The best of three of each, taken in turn."""
    imports_s, readies_s = [], []
    for _ in range(3):
        started_s = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import tensorflow"], check=True, capture_output=True)
        imports_s.append(time.perf_counter() - started_s)
        with serve(path) as server:
            readies_s.append(server.ready_s)
    ready_s, import_s = min(readies_s), min(imports_s)
    pair = f"{ready_s:.2f} : {import_s:.2f} s"
    return Row("start by `import tensorflow`", pair, ready_s / import_s, 1.6, is_limit=True)


def grpc_body(rows):
    """A PredictRequest of `rows` images as tensor_content, after gRPC's prefix."""
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    proto = request.inputs["images"]
    proto.dtype = 4  # uint8
    for size in (rows, 28, 28, 1):
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_content = images(rows).tobytes()
    message = request.SerializeToString()
    return b"\0" + struct.pack(">I", len(message)) + message


def rest_body(rows):
    return json.dumps({"instances": images(rows).tolist()}).encode()


def images(rows):
    return np.random.default_rng(0).integers(0, 256, (rows, 28, 28, 1), np.uint8)


if __name__ == "__main__":
    tyro.cli(main, prog="python -m benchmarks.serving")
