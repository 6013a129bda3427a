"""Which models and versions exist, are wanted, are loading, and can be asked.

A model's versions move through TensorFlow Serving's states. What its configuration and its directory ask for is
compared with what is loaded, on every poll and on every change (`_reconcile`): new versions load in threads beside
serving, an old one is unloaded only once a wanted one is available, and never while a request holds it.

Source: TensorFlow Serving's AspiredVersionsManager with its AvailabilityPreservingPolicy.
"""

import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.errors import Code, ServingError
from serving.model_config import ModelConfig
from serving.models import Models
from serving.servable import QueuedServable
from serving.storage import fingerprint, nothing_found, versions_on_disk, wanted_versions
from serving.versions import Model, State, Version

log = logging.getLogger(__name__)

ENDED_VERSIONS_KEPT = 100  # per model, for the status call; a server that runs for years must not grow


@dataclass(frozen=True)
class Options:
    """How versions are found and loaded; the fields are TensorFlow Serving's flags, with seconds where they say so."""

    file_system_poll_wait_seconds: float = 1.0
    """time between looks at the disk; 0 or less looks once"""
    max_num_load_retries: int = 5
    load_retry_interval_s: float = 60.0
    num_load_threads: int = 0
    num_unload_threads: int = 0
    allow_version_labels_for_unavailable_models: bool = False


Load = Callable[[str, int, Path], QueuedServable]
Listener = Callable[[Version], None]


class Repository:
    """The models of one server.

    Args:
        load: makes a servable of (model name, version, directory), warm-up included; raises ServingError.
        options: polling, retries and threads.
        on_change: called with every version that changes its state, from the thread that changed it.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        load: Load,
        options: Options | None = None,
        on_change: Listener = lambda version: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._options = options or Options()
        self._new_labels_may_wait = self._options.allow_version_labels_for_unavailable_models
        self._on_change = on_change
        self._clock = clock
        self.models = Models()
        self._changed = self.models.changed
        self._stopping = False
        self._dirty = False
        self._loaders = concurrent.futures.ThreadPoolExecutor(self._options.num_load_threads or 1, "load")
        self._unloaders = concurrent.futures.ThreadPoolExecutor(self._options.num_unload_threads or 1, "unload")
        self._thread = threading.Thread(target=self._run, name="repository", daemon=True)
        self._thread.start()

    # Configuration

    def apply(self, configs: Iterable[ModelConfig]) -> None:
        """Makes `configs` the whole configuration; loading goes on beside.

        A label whose version can be asked moves at once, before any other version is unloaded; the rest follow when
        theirs are loaded.
        """
        by_name = {config.name: config for config in configs}
        with self._changed:
            for name, config in by_name.items():
                model = self.models.by_name.setdefault(name, Model(config))
                if model.available() and model.config and model.config.base_path != config.base_path:
                    log.warning(
                        "Model %r is at %s now; versions stay as loaded from %s.",
                        name,
                        config.base_path,
                        model.config.base_path,
                    )
                model.config = config
                model.settle_labels()
            for name, model in self.models.by_name.items():
                if name not in by_name:
                    model.config, model.labels, model.wanted = None, {}, {}
        self.poll()

    def configs(self) -> tuple[ModelConfig, ...]:
        with self._changed:
            return tuple(model.config for model in self.models.by_name.values() if model.config)

    def replace(self, configs: Iterable[ModelConfig], stop: Callable[[], bool] = lambda: False) -> None:
        """Applies `configs` and returns once every model of them can be asked, labels included, or `stop()` says so.

        What has failed of a model that was there before is passed over: it is not for this change to answer for.

        Raises:
            ServingError: as `wait_until_loaded` and `assign_labels`; where a label's version is neither loaded nor
                there to be, before anything changes.
        """
        configs = tuple(configs)
        self._require_labelled_versions(configs)
        known = {config.name for config in self.configs()}
        self.apply(configs)
        self.wait_until_loaded([config.name for config in configs if config.name not in known], stop)
        self.wait_until_loaded([config.name for config in configs if config.name in known], stop, despite_failures=True)
        if not stop():  # else they follow when the versions do
            self.assign_labels()

    def assign_labels(self) -> None:
        """Makes every model's labels those of its configuration.

        Raises:
            ServingError: FAILED_PRECONDITION when a label's version cannot be asked; then no label moves.
        """
        with self._changed:
            for model in self.models.by_name.values():
                if model.config:
                    model.require_labels(model.config, model.available(), self._new_labels_may_wait)
            for model in self.models.by_name.values():
                model.labels = dict(model.config.version_labels) if model.config else {}

    def _require_labelled_versions(self, configs: Iterable[ModelConfig]) -> None:
        for config in configs:
            try:
                found = wanted_versions(versions_on_disk(config.base_path), config.version_policy)
            except (OSError, ValueError):  # storage that is away for a while: what is loaded stays
                continue
            with self._changed:
                model = self.models.by_name.get(config.name, Model(config))
                model.require_labels(config, {*found, *model.available()}, self._new_labels_may_wait)

    def wait_until_loaded(
        self,
        names: Sequence[str],
        stop: Callable[[], bool] = lambda: False,
        *,
        with_retries: bool = True,
        despite_failures: bool = False,
    ) -> None:
        """Returns when every one of `names` has its wanted versions available, or `stop()` says so.

        Those that failed are passed over, but for the latest of a model.

        Args:
            with_retries: whether a version that failed is waited for while it is to be tried again.
            despite_failures: whether versions that failed, and models without any, are passed over.

        Raises:
            ServingError: that of a version which is not waited for any more.
        """
        while not stop():
            with self._changed:
                if self._stopping or not any(
                    self._still_loading(name, with_retries, despite_failures) for name in names
                ):
                    return
                self._changed.wait(0.2)

    def stop(self) -> None:
        """Unloads everything, each version after its last request, and ends the threads."""
        self.apply(())
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        self._loaders.shutdown(cancel_futures=True)
        self._reconcile()
        self._unloaders.shutdown()

    # The loop

    def poll(self) -> None:
        """Looks at the disk now and starts whatever loading and unloading follows from it."""
        for name, config in [(config.name, config) for config in self.configs()]:
            try:
                found = wanted_versions(versions_on_disk(config.base_path), config.version_policy)
                missing = "" if found else nothing_found(config)
            except (OSError, ValueError) as error:  # storage that is away for a while must not unload what is served
                log.warning("Model %r: %s cannot be read (%s); nothing changes.", name, config.base_path, error)
                continue
            with self._changed:
                model = self.models.by_name[name]
                if model.config is not config:  # changed since
                    continue
                if missing not in ("", model.missing) and (model.wanted or not model.versions):
                    log.warning("Model %r: %s", name, missing)
                model.wanted, model.missing = found, missing
        self._retry_rewritten()
        self._reconcile()

    def _run(self) -> None:
        poll_wait_s = self._options.file_system_poll_wait_seconds
        next_poll_s = self._clock() + poll_wait_s if poll_wait_s > 0 else float("inf")
        while True:
            with self._changed:
                due_s = min([next_poll_s, *self._retry_times_s()])
                if not self._stopping and not self._dirty:
                    self._changed.wait(min(max(due_s - self._clock(), 0), threading.TIMEOUT_MAX))
                self._dirty = False
                if self._stopping:
                    return
            try:
                if self._clock() >= next_poll_s:
                    next_poll_s = self._clock() + poll_wait_s
                    self.poll()
                self._reconcile()
            except Exception:  # or no version would be found any more
                log.exception("A look at the models failed; the next one follows.")

    def _reconcile(self) -> None:
        with self._changed:
            for name, model in self.models.by_name.items():
                wanted = model.wanted if model.config else {}
                for number, path in wanted.items():
                    version = model.versions.get(number)
                    if version is None or self._is_to_start_anew(version, path):
                        model.versions[number] = version = Version(name, number, path)
                    if version.state is State.START or self._is_due(version):
                        version.retry_at_s = None
                        self._move(version, State.LOADING)
                        self._loaders.submit(self._load_version, model, version)
                for version in [version for number, version in model.versions.items() if number not in wanted]:
                    version.attempts = 0  # wanted again, it is tried again
                    if version.retry_at_s is not None:
                        version.retry_at_s = None
                        self._move(version, State.END)
                replaced = not wanted or any(number in wanted for number in model.available())
                for number in model.available():
                    if number not in wanted and replaced:
                        self._move(model.versions[number], State.UNLOADING)
                        self._unloaders.submit(self._unload_version, model.versions[number])
                self._forget_ended(model, wanted)

    def _load_version(self, model: Model, version: Version) -> None:
        error, servable = None, None
        try:
            version.seen = fingerprint(version.path)
            servable = self._load(version.name, version.version, version.path)
            if fingerprint(version.path) != version.seen:
                raise ServingError(Code.UNAVAILABLE, f"{version.path} was written to while it was loading.")
        except ServingError as failed:
            error = failed
        except Exception as failed:  # an engine's own: a version that cannot load must never end the server
            error = ServingError(Code.INTERNAL, f"{type(failed).__name__}: {failed}")
        with self._changed:
            wanted = model.config and model.wanted.get(version.version) == version.path
            if error is None and wanted:
                version.servable, version.error = servable, None
                self._move(version, State.AVAILABLE)
                model.settle_labels()
                return
            version.error = error
            if error and wanted:
                self._plan_retry(version)
            else:
                self._move(version, State.END)
        if servable is not None:
            servable.close()

    def _plan_retry(self, version: Version) -> None:
        version.attempts += 1
        left = self._options.max_num_load_retries - version.attempts + 1
        again = f" It is tried again every {self._options.load_retry_interval_s:g} s, {left} times." if left > 0 else ""
        log.error("Loading version %d of %r failed: %s%s", version.version, version.name, version.error, again)
        if left <= 0:
            self._move(version, State.END)
            return
        version.retry_at_s = self._clock() + self._options.load_retry_interval_s
        self._announce(version)

    def _unload_version(self, version: Version) -> None:
        with version.idle:
            while version.in_flight:
                version.idle.wait()
        version.loaded.close()
        version.servable = None
        with self._changed:
            self._move(version, State.END)

    def _retry_rewritten(self) -> None:
        """Lets a version that failed load again at once when its directory has changed since: it was being copied."""
        with self._changed:
            failed = [
                version
                for model in self.models.by_name.values()
                for number, version in model.versions.items()
                if version.error and not version.servable and model.config and number in model.wanted
            ]
        for version in failed:
            if version.retry_at_s is None and version.state is not State.END:
                continue
            if version.path.exists() and fingerprint(version.path) != version.seen:
                with self._changed:
                    version.attempts, version.retry_at_s, version.state = 0, self._clock(), State.LOADING

    # Small things, all under the lock

    def _is_to_start_anew(self, version: Version, path: Path) -> bool:
        """Whether it is over, or failed where the model was and the model is elsewhere now."""
        is_over = version.state is State.END
        has_failed = is_over or version.retry_at_s is not None
        return (is_over and not version.attempts) or (has_failed and version.path != path)

    def _is_due(self, version: Version) -> bool:
        return version.retry_at_s is not None and version.retry_at_s <= self._clock()

    def _versions(self) -> list[Version]:
        return [version for model in self.models.by_name.values() for version in model.versions.values()]

    def _retry_times_s(self) -> list[float]:
        return [version.retry_at_s for version in self._versions() if version.retry_at_s is not None]

    def _move(self, version: Version, state: State) -> None:
        version.state = state
        log.info("Version %d of %r: %s", version.version, version.name, state.name)
        self._announce(version)

    def _announce(self, version: Version) -> None:
        self._dirty = True
        self._changed.notify_all()
        self._on_change(version)

    def _still_loading(self, name: str, with_retries: bool, despite_failures: bool) -> bool:
        model = self.models.by_name[name]
        if not model.wanted:
            return model.config is not None and not despite_failures
        is_loading = False
        for number in model.wanted:
            version = model.versions.get(number)  # None: found on disk this moment
            if version and version.error and (despite_failures or number != max(model.wanted)):
                continue
            if version and version.error and (version.state is State.END or not with_retries):
                raise version.error
            is_loading |= version is None or version.state is not State.AVAILABLE
        return is_loading

    def _forget_ended(self, model: Model, wanted: Mapping[int, Path]) -> None:
        ended = [n for n, v in sorted(model.versions.items()) if v.state is State.END and n not in wanted]
        for number in ended[:-ENDED_VERSIONS_KEPT]:
            del model.versions[number]
