"""Warm-up: the requests in `assets.extra/tf_serving_warmup_requests` run before a version is available."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving import codec_grpc, inference
from serving.errors import Code, ServingError
from serving.metrics import Metrics
from serving.servable import Servable

RECORDS_FILE = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1000


def replay(servable: Servable, directory: Path, metrics: Metrics, iterations: int = 1) -> None:
    """Runs every recorded request `iterations` times; a directory without records is left alone.

    Args:
        directory: the version's, whose records are a TFRecord file of `PredictionLog`.

    Raises:
        ServingError: a record cannot be read, is of a kind that cannot run, or fails.
    """
    path = directory / RECORDS_FILE
    if not path.exists():
        return
    started_s, records, code = time.perf_counter(), 0, Code.OK
    try:
        for record in _records(path):
            if records == MAX_RECORDS:
                raise ServingError(
                    Code.INVALID_ARGUMENT,
                    f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) in {path}. Write fewer.",
                )
            for _ in range(iterations):
                _run(servable, record)
            records += 1
    except ServingError as error:
        code = error.code
        raise
    finally:
        metrics.warmed_up(str(directory), time.perf_counter() - started_s, records, code)


def _records(path: Path) -> Iterator[Any]:
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    try:
        for record in _tf_records(path.read_bytes()):
            yield prediction_log_pb2.PredictionLog.FromString(record)
    except (OSError, ValueError, DecodeError) as error:
        raise ServingError(
            Code.DATA_LOSS, f"{path} is not a TFRecord file of PredictionLog: {error}. Write it again or remove it."
        ) from error


def _tf_records(content: bytes) -> Iterator[bytes]:
    """Each record has its length before it, both with a checksum after them, which are not looked at: a record that is
    no PredictionLog is found out, and TensorFlow's own reader needs TensorFlow's Python."""
    start = 0
    while start < len(content):
        first, end = start + 12, start + 12 + int.from_bytes(content[start : start + 8], "little")
        if end + 4 > len(content):
            raise ValueError(f"there are {len(content)} bytes where a record ends after {end + 4}")
        yield content[first:end]
        start = end + 4


def _run(servable: Servable, record: Any) -> None:
    kind = record.WhichOneof("log_type") or "no log"
    request: Any = getattr(getattr(record, kind, None), "request", None)
    if kind == "predict_log":
        inputs = codec_grpc.to_arrays(request.inputs)
        inference.predict(servable, _signature(request.model_spec), inputs, list(request.output_filter))
    elif kind == "classify_log":
        inference.classify(servable, _signature(request.model_spec), codec_grpc.request_examples(request.input))
    elif kind == "regress_log":
        inference.regress(servable, _signature(request.model_spec), codec_grpc.request_examples(request.input))
    elif kind == "multi_inference_log":
        tasks = [(_signature(task.model_spec), task.method_name) for task in request.tasks]
        inference.multi_inference(servable, tasks, codec_grpc.request_examples(request.input))
    else:
        raise ServingError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")


def _signature(spec: Any) -> str:
    return spec.signature_name or inference.DEFAULT_SIGNATURE
