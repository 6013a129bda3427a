"""Prometheus metrics: TensorFlow Serving's names and label sets, and ours with version and signature.

TensorFlow Serving's latencies are microseconds in buckets of 10 * 1.8^k; ours are seconds, as Prometheus advises.
"""

import re
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from serving.errors import Code

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MICROSECONDS = tuple(10 * 1.8**k for k in range(33))
SECONDS = tuple(0.0001 * 2**k for k in range(18))
SIZES = tuple(2**k for k in range(14))
VERSION_LABELS = ("model_name", "version", "signature_name")
BARE_COUNTERS = rb"request_count|request_log_count|model_warmup_records_read|batching_session:wrapped_run_count"


class Kind(NamedTuple):
    """What tells requests apart in the metrics; empty where a request named no model or version that is served."""

    model_name: str
    version: str
    signature_name: str
    api: str
    entrypoint: str
    code: Code


class Series(NamedTuple):
    """The series that a request of one kind moves."""

    request_count: Counter
    requests: Counter
    request_latency: Histogram
    latency_seconds: Histogram
    example_counts: Histogram
    example_total: Counter


class Metrics:
    """Every counter of one server; `page()` is what Prometheus reads."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._series: dict[Kind, Series] = {}

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, labels, registry=registry, buckets=buckets)

        tfs = ":tensorflow:serving:"
        self.request_count = counter(f"{tfs}request_count", "Requests.", ("model_name", "status"))
        self.request_latency = histogram(
            f"{tfs}request_latency", "Microseconds.", ("model_name", "API", "entrypoint"), MICROSECONDS
        )
        self.runtime_latency = histogram(
            f"{tfs}runtime_latency", "Microseconds.", ("model_name", "API", "runtime"), MICROSECONDS
        )
        self.example_counts = histogram(f"{tfs}request_example_counts", "Examples a request.", ("model",), SIZES)
        self.example_total = counter(f"{tfs}request_example_count_total", "Examples.", ("model",))
        self.request_log_count = counter(f"{tfs}request_log_count", "Logged requests.", ("model_name", "status"))
        self.warmup_latency = histogram(
            f"{tfs}model_warmup_latency", "Microseconds.", ("model_path", "status"), MICROSECONDS
        )
        self.warmup_records_read = counter(f"{tfs}model_warmup_records_read", "Warm-up records.", ("model_path",))
        self.queuing_latency = histogram(
            f"{tfs}batching_session:queuing_latency", "Microseconds.", ("thread_pool_name",), MICROSECONDS
        )
        self.wrapped_run_count = counter(f"{tfs}batching_session:wrapped_run_count", "Batches run.")

        self.requests = counter("convzoo_requests", "Requests.", (*VERSION_LABELS, "api", "entrypoint", "code"))
        self.latency_seconds = histogram(
            "convzoo_request_latency_seconds", "Time to answer.", (*VERSION_LABELS, "api", "entrypoint"), SECONDS
        )
        self.queue_seconds = histogram("convzoo_queue_wait_seconds", "Time in the queue.", VERSION_LABELS, SECONDS)
        self.batch_size = histogram("convzoo_batch_size", "Examples run together.", VERSION_LABELS, SIZES)
        self.load_seconds = Gauge(
            "convzoo_load_seconds", "Time to load, warm-up included.", ("model_name", "version"), registry=registry
        )

    def of(self, kind: Kind) -> Series:
        """Looked up once for each kind: labels() takes longer than all that is done with its result."""
        series = self._series.get(kind)
        if series is None:
            name, version, signature_name, api, entrypoint, code = kind
            full = (name, version, signature_name, api, entrypoint)
            series = self._series[kind] = Series(
                self.request_count.labels(name, code.name),
                self.requests.labels(*full, code.name),
                self.request_latency.labels(name, api, entrypoint),
                self.latency_seconds.labels(*full),
                self.example_counts.labels(name),
                self.example_total.labels(name),
            )
        return series

    def warmed_up(self, path: str, seconds: float, records: int, code: Code) -> None:
        self.warmup_latency.labels(path, code.name).observe(seconds * 1e6)
        self.warmup_records_read.labels(path).inc(records)

    def batch_ran(
        self, pool: str, name: str, version: int, signature_name: str, size: int, waits_s: list[float]
    ) -> None:
        """One run of a batch: how many examples it held and how long each of its requests had waited."""
        labels = (name, str(version), signature_name)
        self.wrapped_run_count.inc()
        self.batch_size.labels(*labels).observe(size)
        queued, waited = self.queuing_latency.labels(pool), self.queue_seconds.labels(*labels)
        for wait_s in waits_s:
            queued.observe(wait_s * 1e6)
            waited.observe(wait_s)

    def forget(self, name: str, version: int, path: str) -> None:
        """Drops the series of a version that has ended, so that years of versions do not fill the page."""
        for kind in list(self._series):
            if kind[:2] == (name, str(version)):
                self._series.pop(kind, None)
        for metric in (self.requests, self.latency_seconds, self.queue_seconds, self.batch_size, self.load_seconds):
            metric.remove_by_labels({"model_name": name, "version": str(version)})
        for metric in (self.warmup_latency, self.warmup_records_read):
            metric.remove_by_labels({"model_path": path})

    def total(self, name: str) -> int:
        """The sum of a counter over its labels, with slashes or colons in its name; 0 for a name that is none."""
        name = name.replace("/", ":")
        samples = (sample for metric in self._registry.collect() for sample in metric.samples)
        return int(sum(sample.value for sample in samples if sample.name in (name, f"{name}_total")))

    def page(self) -> bytes:
        """The metrics in Prometheus's text format."""
        # The library ends every counter in _total; TensorFlow Serving's dashboards look for the bare names.
        return re.sub(
            rb"(:tensorflow:serving:(?:" + BARE_COUNTERS + rb"))_total\b", rb"\1", generate_latest(self._registry)
        )
