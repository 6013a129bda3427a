"""One JSON line a request: who asked what, how it ended and how long it took; never a tensor's content."""

import random
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

import orjson


class RequestLog:
    """Writes sampled records to a file.

    Args:
        path: a file to append to, or "-" for standard output.
        sampling_rate: the share of requests that is written, 0..1.
        draw: a number in 0..1 for each request; the request is written when it is below the rate.
    """

    def __init__(self, path: str, sampling_rate: float = 1.0, draw: Callable[[], float] = random.random) -> None:
        self._file: TextIO = sys.stdout if path == "-" else open(path, "a", encoding="utf-8")
        self._sampling_rate = sampling_rate
        self._draw = draw
        self._lock = threading.Lock()

    def wants(self) -> bool:
        return self._draw() < self._sampling_rate

    def write(self, record: dict[str, Any]) -> None:
        line = orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY).decode()
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()

    def close(self) -> None:
        if self._file is not sys.stdout:
            self._file.close()
