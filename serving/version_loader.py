"""A version, from its directory to what requests are given: loaded, warmed up, and batching."""

import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path

from serving.batching import Batched
from serving.config_protos import read_config_file
from serving.flags import Flags
from serving.loader import Loader
from serving.metrics import Metrics
from serving.model_config import BatchingParameters, parse_batching_parameters
from serving.servable import EngineOptions
from serving.workers import Workers

log = logging.getLogger(__name__)


class VersionLoader:
    """A `serving.repository.Load` as the flags want it.

    Args:
        workers: the threads that run all models' batches.
        batching: the server's rules; None is natural batching.
        is_serving: whether there are callers who could feel a load.
    """

    def __init__(
        self,
        loader: Loader,
        workers: Workers,
        metrics: Metrics,
        flags: Flags,
        engine_options: EngineOptions,
        batching: BatchingParameters | None,
        is_serving: Callable[[], bool],
    ) -> None:
        self._loader, self._workers, self._metrics, self._flags = loader, workers, metrics, flags
        self._engine_options, self._batching, self._is_serving = engine_options, batching, is_serving

    def __call__(self, name: str, version: int, path: Path) -> Batched:
        from serving import warmup

        started_s = time.perf_counter()
        flags = self._flags
        load_it = functools.partial(self._loader.load, gives_way=self._is_serving())
        loaded = load_it(path, tags=sorted(flags.tags), engine=flags.engine, options=self._engine_options)
        try:
            # Not by the workers: a first run takes long, and they have other models' calls.
            if flags.enable_model_warmup:
                warmup.replay(loaded, path, self._metrics, flags.num_request_iterations_for_warmup or 1)
            batching = self._batching_of(path)
            pool = (batching or BatchingParameters).thread_pool_name
            observe = functools.partial(self._metrics.batch_ran, pool, name, version)
            servable = Batched(loaded, self._workers, batching, observe)
        except BaseException:
            loaded.close()
            raise
        for signature_name in servable.signature_defs.keys() - servable.signatures.keys() - {"__saved_model_init_op"}:
            log.warning(
                "Signature %r of %r is not served: an input or output of it is no tensor of a type that can be sent.",
                signature_name,
                name,
            )
        for signature_name, report in servable.engine_report.items():
            log.info("Version %d of %r runs %s on %s", version, name, signature_name, report)
        self._metrics.load_seconds.labels(name, str(version)).set(time.perf_counter() - started_s)
        return servable

    def _batching_of(self, path: Path) -> BatchingParameters | None:
        """TensorFlow Serving's rules for the version in `path`; None is natural batching."""
        if not (self._flags.enable_batching and self._flags.enable_per_model_batching_parameters):
            return self._batching
        file = path / "batching_params.pbtxt"
        return parse_batching_parameters(read_config_file(str(file)), str(file)) if file.exists() else None
