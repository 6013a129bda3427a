"""The server: flags to a running gRPC and REST service, and its end.

The ports open when every configured model can be asked, as TensorFlow Serving's do. SIGTERM and SIGINT stop the
intake, let what is in flight finish, unload, and exit with status 0; a second one ends the process at once.
"""

import concurrent.futures
import functools
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from serving.call import Observer
from serving.errors import Code, ServingError
from serving.flags import Flags, parse_command_line
from serving.loader import Loader
from serving.metrics import Metrics
from serving.model_config import ModelConfig
from serving.process import end_anyway_after, find_temporary_folder, start_logging, wait_for_a_signal
from serving.quiet import import_quietly, leave_out_tensorflow
from serving.repository import Options, Repository
from serving.request_log import RequestLog
from serving.servable import Engine
from serving.version_loader import VersionLoader
from serving.versions import State, Version
from serving.workers import Workers

log = logging.getLogger(__name__)

STOP_GRACE_S = 30.0  # for calls in flight
STOP_REST_S = 5.0  # for what comes after them


class Server:
    """A server's parts, wired by its flags. `start` returns once it answers; `stop` once it is gone.

    Args:
        stopping: set from outside to give up waiting for the first models.
        loader: what loads the models; the server closes it.
    """

    def __init__(self, flags: Flags, stopping: threading.Event | None = None, loader: Loader | None = None) -> None:
        self._flags = flags
        self._stopping = stopping or threading.Event()
        self._monitoring = flags.monitoring_config()
        self._tls = flags.ssl_config()
        if self._tls:
            from serving import sockets

            sockets.tls_context(self._tls)  # says what is wrong with the certificates, before anything is loaded
        batching, engine_options = flags.batching_parameters(), flags.engine_options()
        self._workers = Workers(batching.num_batch_threads if batching else flags.grpc_max_threads)
        self._metrics = Metrics()
        request_log = RequestLog(flags.request_log, flags.request_log_sampling_rate) if flags.request_log else None
        self._observer = Observer(self._metrics, request_log)
        self._executor = concurrent.futures.ThreadPoolExecutor(flags.rest_api_num_threads, "rest")
        self._config_thread = threading.Thread(target=self._follow_config, name="config", daemon=True)
        self._opened: list[Callable[[], None]] = []
        self._expected: set[str] = set()  # names of models that must be available for the server to be ready
        self._on_health: Callable[[Version], None] = lambda version: None
        self._loader = loader or Loader()
        load = VersionLoader(
            self._loader, self._workers, self._metrics, flags, engine_options, batching, self._is_serving
        )
        self.repository = Repository(load, _repository_options(flags), self._version_changed)

    def start(self) -> None:
        """Loads the configured models, then opens the ports.

        Raises:
            ServingError: the configuration is wrong, a model cannot load, or a port cannot be had.
        """
        from serving import sockets  # which load while the models do

        configs = self._flags.models() or ()
        self.repository.apply(configs)
        sockets.require_free(self._flags.port, self._flags.rest_api_port)
        if self._flags.models_root and not configs:
            log.warning("%s holds no model yet; each will be served once it is there.", self._flags.models_root)
        if self._flags.models_root or self._flags.allow_empty_models:
            self._wait_for_those_that_load(configs)
        else:
            self.repository.wait_until_loaded([config.name for config in configs], self._stopping.is_set)
            if not self._stopping.is_set():
                self.repository.assign_labels()
        if self._stopping.is_set():
            return
        self._loader.end_child()  # it takes the processors that callers will want
        self._expected.update(self.repository.models.statuses())
        self._open_grpc()
        if self._flags.rest_api_port:
            self._open_rest()
        self._config_thread.start()

    def stop(self) -> None:
        """Ends the intake, finishes what is in flight, unloads every model."""
        self._stopping.set()
        self._on_health = lambda version: None
        closing = [threading.Thread(target=close) for close in self._opened]  # each waits for its own calls
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
        self._executor.shutdown()
        self.repository.apply(())  # so that a load which the loader's end breaks off is no failure
        self._loader.close()
        self.repository.stop()
        self._workers.close()
        if self._observer.request_log:
            self._observer.request_log.close()

    def is_ready(self) -> bool:
        """Whether the server is not stopping and every configured model can be asked.

        A model that came while the server runs counts from when it could be asked first: one that loads, or never
        does, is no reason to take from all servers of a folder the callers of the others.
        """
        models = self.repository.models
        return not self._stopping.is_set() and all(map(models.is_available, self._expected & models.statuses().keys()))

    def reload(self, configs: Sequence[ModelConfig] | None, given_up: Callable[[], bool] = lambda: False) -> None:
        """Makes `configs` (None: what the flags' file or folder says now) the configuration and waits for it, or until
        the server stops or `given_up()` says so."""
        configs = self._flags.models() if configs is None else configs
        if configs is not None:
            self.repository.replace(configs, lambda: self._stopping.is_set() or given_up())
        if self._stopping.is_set():
            raise ServingError(Code.UNAVAILABLE, "The server is stopping.")

    def unload(self, name: str) -> None:
        """Takes one model out of the configuration, until it is reloaded.

        Raises:
            ServingError: NOT_FOUND when there is no such model.
        """
        configs = self.repository.configs()
        if name not in {config.name for config in configs}:
            raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        self.repository.apply([config for config in configs if config.name != name])

    # Wiring

    def _open_grpc(self) -> None:
        from serving import grpc_services, sockets

        server = sockets.grpc_server(self._flags)
        addresses = sockets.bind_grpc(server, self._flags, self._tls)
        self._on_health = grpc_services.add(
            server, self._flags, self.repository.models, self._observer, self.is_ready, self.reload
        )
        server.start()
        self._opened.append(functools.partial(server.stop, STOP_GRACE_S))
        for address in addresses:
            log.info("Running gRPC ModelServer at %s ...", address)

    def _open_rest(self) -> None:
        from serving import sockets
        from serving.rest_api import RestApi, RestOptions

        options = RestOptions(
            timeout_s=self._flags.rest_api_timeout_in_ms / 1e3 if self._flags.rest_api_timeout_in_ms > 0 else None,
            cors=self._flags.rest_api_enable_cors_support,
            metrics_path=self._monitoring.path if self._monitoring.enable else None,
            admin=self._flags.rest_api_enable_admin,
            check_method_name=self._flags.enable_signature_method_name_check,
        )
        app = RestApi(
            self.repository.models,
            self._observer,
            self._executor,
            is_ready=self.is_ready,
            reload=self.reload,
            unload=self.unload,
            options=options,
        )
        tls = self._tls if self._flags.rest_api_enable_tls else None
        rest = sockets.RestServer(app, self._flags.rest_api_port, tls)
        rest.start()
        self._opened.append(functools.partial(rest.stop, STOP_GRACE_S))
        log.info("Exporting HTTP/REST API at:localhost:%d ...", self._flags.rest_api_port)

    def _is_serving(self) -> bool:
        """Whether there are callers who could feel a load."""
        return bool(self._opened) and any(map(self.repository.models.is_available, self.repository.models.statuses()))

    def _version_changed(self, version: Version) -> None:
        if version.state is State.AVAILABLE:
            self._expected.add(version.name)
        if version.state is State.END:
            self._expected &= self.repository.models.statuses().keys()  # without the models that are gone
            self._metrics.forget(version.name, version.version, str(version.path))
        self._on_health(version)

    def _wait_for_those_that_load(self, configs: Sequence[ModelConfig]) -> None:
        there = [config.name for config in configs if self.repository.models.by_name[config.name].wanted]
        for name in there:
            try:
                self.repository.wait_until_loaded([name], self._stopping.is_set, with_retries=False)
            except ServingError as error:
                log.error("Model %r is not served: %s", name, error.message)
        try:
            self.repository.assign_labels()
        except ServingError as error:
            log.error("Labels are not served: %s", error.message)

    def _follow_config(self) -> None:
        """Reads the config file, or the folder of models, again and again for as long as the server runs."""
        flags = self._flags
        wait_s = flags.model_config_file_poll_wait_seconds
        if flags.models_root:
            wait_s = flags.file_system_poll_wait_seconds
        if wait_s <= 0:
            return
        current, failed = self.repository.configs(), ""
        while not self._stopping.wait(wait_s):
            try:
                configs = flags.models()
                if configs is None or configs == current:
                    continue
                if flags.models_root:  # without labels, for which the other waits
                    self.repository.apply(configs)
                else:
                    self.repository.replace(configs, functools.partial(self._is_outdated, configs))
                current, failed = configs, ""
            except ServingError as error:
                if error.message != failed:
                    log.error("The new configuration is not served whole: %s", error.message)
                failed = error.message
            except Exception:  # such as a disk's; or no later change would be seen
                log.exception("The configuration could not be read or served.")

    def _is_outdated(self, configs: Sequence[ModelConfig]) -> bool:
        """Whether nobody wants `configs` any more."""
        return self._stopping.is_set() or self._flags.models() not in (None, configs)


def _repository_options(flags: Flags) -> Options:
    return Options(
        file_system_poll_wait_seconds=flags.file_system_poll_wait_seconds,
        max_num_load_retries=flags.max_num_load_retries,
        load_retry_interval_s=flags.load_retry_interval_micros / 1e6,
        num_load_threads=flags.num_load_threads,
        num_unload_threads=flags.num_unload_threads,
        allow_version_labels_for_unavailable_models=flags.allow_version_labels_for_unavailable_models,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; 0 after an orderly end, 255 when it cannot start."""
    leave_out_tensorflow()
    flags = parse_command_line(argv)
    start_logging()
    for notice in flags.notices:
        log.warning(notice)
    try:
        find_temporary_folder()
    except ServingError as error:
        return _not_started(error)
    loader, engines = Loader(), ["serving.tensorflow_engine"]
    if flags.engine != Engine.TENSORFLOW:
        loader.start()  # which takes as long as all that follows
        engines.append("serving.openvino_engine")
    import_quietly("serving.grpc_services", "serving.rest_api", "serving.sockets", *engines)
    # A request waits this long for a thread that loads a model to let go of the interpreter: with loads in this
    # process, as TensorFlow's engine has them, callers' p99 was 34 to 37 ms at the usual 5 ms, and 18 at this.
    sys.setswitchinterval(0.0005)
    stopping = threading.Event()

    def stop(number: int, _: object) -> None:
        if stopping.is_set():  # somebody will not wait
            os._exit(128 + number)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        server = Server(flags, stopping, loader)
    except ServingError as error:
        return _not_started(error)
    try:
        server.start()
    except ServingError as error:
        status = _not_started(error)
        end_anyway_after(STOP_REST_S, status)
        server.stop()
        return status
    wait_for_a_signal(stopping)
    log.info("Stopping: what is in flight finishes first.")
    end_anyway_after(STOP_GRACE_S + STOP_REST_S, 0)
    server.stop()
    return 0


def _not_started(error: ServingError) -> int:
    print(f"Failed to start server. Error: {error.message}", file=sys.stderr)
    return 255


if __name__ == "__main__":
    sys.exit(main())
