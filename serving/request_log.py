"""One JSON line a request: who asked what, how it ended and how long it took; never a tensor's content."""

import logging
import random
import sys
import threading
from collections.abc import Callable
from typing import Any

import orjson

from serving.errors import Code, ServingError

log = logging.getLogger(__name__)


class RequestLog:
    """Writes sampled records to a file.

    Args:
        path: a file to append to, or "-" for standard output.
        sampling_rate: the share of requests that is written, 0..1.
        draw: a number in 0..1 for each request; the request is written when it is below the rate.

    Raises:
        ServingError: NOT_FOUND where the file cannot be opened.
    """

    def __init__(self, path: str, sampling_rate: float = 1.0, draw: Callable[[], float] = random.random) -> None:
        try:
            is_stdout = path == "-"
            self._file = open(sys.stdout.fileno() if is_stdout else path, "ab", buffering=0, closefd=not is_stdout)
        except OSError as error:
            raise ServingError(
                Code.NOT_FOUND, f"--request_log: {path} cannot be written to: {error.strerror}."
            ) from error
        self._sampling_rate = sampling_rate
        self._draw = draw
        self._lock = threading.Lock()
        self._has_failed = False

    def wants(self) -> bool:
        return self._draw() < self._sampling_rate

    def write(self, record: dict[str, Any]) -> None:
        """A record that cannot be written is lost, which the server's log says once: the request must not fail."""
        try:
            line = orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
            with self._lock:
                self._file.write(line)
        except Exception as error:
            if not self._has_failed:
                log.error("Records of requests are lost: %s.", error)
            self._has_failed = True

    def close(self) -> None:
        self._file.close()
