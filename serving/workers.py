"""The threads that run batches: jobs in the order in which they came, one turn each."""

import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Workers:
    """Up to `threads` threads, each started by the next job that comes; they end with the process or at `close`."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._started = 0
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], bool] | None] = queue.SimpleQueue()

    def put(self, job: Callable[[], bool]) -> None:
        """Runs `job` after those that wait; while it returns true it gets another turn, behind them again."""
        if self._started < self._threads:
            with self._lock:
                if self._started < self._threads:
                    self._started += 1
                    threading.Thread(target=self._serve, name=f"batch-{self._started}", daemon=True).start()
        self._jobs.put(job)

    def close(self) -> None:
        """Ends the threads once the jobs that wait are done."""
        for _ in range(self._started):
            self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            while _is_unfinished(job):
                if not self._jobs.empty():
                    self._jobs.put(job)
                    break


def _is_unfinished(job: Callable[[], bool]) -> bool:
    try:
        return job()
    except Exception:  # the thread has other models' jobs to do
        log.exception("A job failed inside the server.")
        return False
