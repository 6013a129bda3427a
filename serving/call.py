"""One request from its arrival to its answer: the part that both transports share.

A `Call` is a context manager around the work. It knows what was asked and which version answered, and when it ends
it counts and logs the request, however it ended.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import NamedTuple, ParamSpec, Self, TypeVar

import numpy as np

from serving.errors import Code, ServingError
from serving.inference import DEFAULT_SIGNATURE
from serving.metrics import Kind, Metrics
from serving.request_log import RequestLog
from serving.versions import Version

P = ParamSpec("P")
R = TypeVar("R")


class ModelSpec(NamedTuple):
    """What a request asks for: a model, one of its versions (by number, label, or the latest), and a signature."""

    name: str
    version: int | None = None
    label: str | None = None
    signature_name: str = DEFAULT_SIGNATURE


class Observer(NamedTuple):
    """Where finished calls go."""

    metrics: Metrics
    request_log: RequestLog | None = None


class Call:
    """See the module's docstring. `api` is the protocol's own name of the call, `entrypoint` GRPC or REST."""

    __slots__ = ("api", "entrypoint", "spec", "version", "inputs", "examples", "request_bytes", "_observer", "_start_s")

    def __init__(self, observer: Observer, api: str, entrypoint: str, request_bytes: int) -> None:
        self._observer = observer
        self.api, self.entrypoint, self.request_bytes = api, entrypoint, request_bytes
        self.spec: ModelSpec | None = None
        self.version: Version | None = None
        self.inputs: Mapping[str, np.ndarray] = {}
        self.examples = 0

    def __enter__(self) -> Self:
        self._start_s = time.perf_counter()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, _: TracebackType | None) -> None:
        seconds = time.perf_counter() - self._start_s
        code = code_of(error)
        if self.spec is not None:
            self._count(self.spec, code, seconds)
        log = self._observer.request_log
        if log is not None and log.wants():
            log.write(self._record(code, seconds, error))
            self._observer.metrics.request_log_count.labels(self._served_name(), code.name).inc()

    def took(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Notes the decoded inputs; the first dimension of the first is the number of examples."""
        self.inputs = inputs
        first = next(iter(inputs.values()), None)
        self.examples = 1 if first is None or first.ndim == 0 else len(first)

    def timed(self, run: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the model and notes the time that took."""
        started_s = time.perf_counter()
        result = run(*args, **kwargs)
        self.ran(time.perf_counter() - started_s)
        return result

    def ran(self, seconds: float) -> None:
        """Notes the time that the model took."""
        if self.spec is not None:
            self._observer.metrics.runtime_latency.labels(self.spec.name, self.api, "TF1").observe(seconds * 1e6)

    def _count(self, spec: ModelSpec, code: Code, seconds: float) -> None:
        version = self.version
        number = str(version.version) if version and version.servable else ""  # one that has ended has no series
        # A name that is none must not become a label: anyone could fill the server's memory with them.
        signature_name = spec.signature_name if version and version.has_signature(spec.signature_name) else ""
        kind = Kind(self._served_name(), number, signature_name, self.api, self.entrypoint, code)
        series = self._observer.metrics.of(kind)
        series.request_count.inc()
        series.requests.inc()
        if code is Code.OK:
            series.request_latency.observe(seconds * 1e6)
            series.latency_seconds.observe(seconds)
            series.example_counts.observe(self.examples)
            series.example_total.inc(self.examples)

    def _served_name(self) -> str:
        """The model's name, empty for one nobody serves: as a label it would let anyone fill the server's memory."""
        return self.version.name if self.version else ""

    def _record(self, code: Code, seconds: float, error: BaseException | None) -> dict[str, object]:
        return {
            "time_s": time.time(),
            "entrypoint": self.entrypoint,
            "api": self.api,
            "model": self.spec.name if self.spec else None,
            "version": self.version.version if self.version else None,
            "signature_name": self.spec.signature_name if self.spec else None,
            "code": code.name,
            "error": str(error) if error else None,
            "latency_ms": round(seconds * 1e3, 3),
            "examples": self.examples,
            "request_bytes": self.request_bytes,
            "inputs": {name: [array.dtype.name, list(array.shape)] for name, array in self.inputs.items()},
        }


def code_of(error: BaseException | None) -> Code:
    """The status with which a call ends that this error ended."""
    if error is None:
        return Code.OK
    if isinstance(error, ServingError):
        return error.code
    return Code.CANCELLED if isinstance(error, asyncio.CancelledError) else Code.INTERNAL
