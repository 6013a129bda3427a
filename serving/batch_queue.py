"""Queues of requests that can run together, taking turns on the workers: a batch a turn, oldest queue first."""

import collections
import functools
import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from serving.errors import Code, ServingError
from serving.model_config import BatchingParameters
from serving.signature import Arrays
from serving.workers import Workers

log = logging.getLogger(__name__)

Answer = Arrays | ServingError
Done = Callable[[Answer], None]


class Waiting:
    """A request in a queue; `cancel` it when nobody waits for its answer any more."""

    __slots__ = ("inputs", "rows", "deadline_s", "done", "since_s", "is_cancelled")

    def __init__(self, inputs: Arrays, rows: int, deadline_s: float | None, done: Done) -> None:
        self.inputs, self.rows, self.deadline_s, self.done = inputs, rows, deadline_s, done
        self.since_s = time.monotonic()
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def refusal(self) -> ServingError:
        if self.is_cancelled:
            return ServingError(Code.CANCELLED, "The client has gone.")
        return ServingError(Code.DEADLINE_EXCEEDED, "The deadline passed while the request was queued.")

    def is_late(self, now_s: float) -> bool:
        return self.is_cancelled or (self.deadline_s is not None and self.deadline_s <= now_s)


class Queue:
    """What waits for the same computation, and how many of its batches are running."""

    __slots__ = ("waiting", "rows", "running", "timer")

    def __init__(self) -> None:
        self.waiting: collections.deque[Waiting] = collections.deque()
        self.rows = self.running = 0
        self.timer: threading.Timer | None = None


class Queues:
    """Queues by key, each there while something waits or runs in it.

    Args:
        workers: the threads that call `run_batch`.
        rules: sizes in rows, the timeout, the queue's length, and how many batches of one queue run at a time.
        run_batch: answers every request of a batch, by its `done`.
    """

    def __init__(
        self, workers: Workers, rules: BatchingParameters, run_batch: Callable[[Any, list[Waiting]], None]
    ) -> None:
        self._workers, self._rules, self._run_batch = workers, rules, run_batch
        self._lock = threading.Lock()
        self._queues: dict[Hashable, Queue] = {}

    def put(self, key: Hashable, requests: Sequence[Waiting]) -> None:
        """Raises ServingError: UNAVAILABLE where the queue has no room for all of them."""
        rows = sum(self._share(waiting) for waiting in requests)
        with self._lock:
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = Queue()
            if queue.rows + rows > self._rules.max_enqueued_batches * self._rules.execution_batch_size:
                raise ServingError(
                    Code.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"
                )
            queue.waiting.extend(requests)
            queue.rows += rows
            starts = self._starts(key, queue)
        if starts:
            self._workers.put(functools.partial(self._turn, key, queue))

    def _share(self, waiting: Waiting) -> int:
        """Its rows in the queue's length, where a batch of its own counts as one."""
        return min(waiting.rows, self._rules.execution_batch_size)

    def _starts(self, key: Hashable, queue: Queue) -> bool:
        """Whether a batch of the queue is to run now. One that has time left before its timeout sets a timer."""
        if not queue.waiting or queue.running >= self._rules.num_batch_threads:
            return False
        if self._rules.batch_timeout_micros and queue.rows < self._rules.execution_batch_size:
            left_s = queue.waiting[0].since_s + self._rules.batch_timeout_micros / 1e6 - time.monotonic()
            if left_s > 0:
                if queue.timer is None:
                    queue.timer = threading.Timer(left_s, self._ring, (key, queue))
                    queue.timer.daemon = True
                    queue.timer.start()
                return False
        queue.running += 1
        return True

    def _ring(self, key: Hashable, queue: Queue) -> None:
        with self._lock:
            queue.timer = None
            starts = self._starts(key, queue)
        if starts:
            self._workers.put(functools.partial(self._turn, key, queue))

    def _turn(self, key: Hashable, queue: Queue) -> bool:
        """Runs one batch; whether there is another to run."""
        with self._lock:
            batch, late = self._take(queue)
        try:
            for waiting in late:
                waiting.done(waiting.refusal())
            if batch:
                self._run_batch(key, batch)
        except Exception:  # what waits in this queue must still get its turn
            log.exception("A batch ended early.")
        with self._lock:
            queue.running -= 1
            if self._starts(key, queue):
                return True
            if not queue.waiting and not queue.running:
                self._queues.pop(key, None)
            return False

    def _take(self, queue: Queue) -> tuple[list[Waiting], list[Waiting]]:
        """The next batch, and the requests for which it is too late."""
        batch: list[Waiting] = []
        late: list[Waiting] = []
        rows, now_s = 0, time.monotonic()
        while queue.waiting:
            waiting = queue.waiting[0]
            is_late = waiting.is_late(now_s)
            if not is_late and batch and rows + waiting.rows > self._rules.execution_batch_size:
                break
            queue.waiting.popleft()
            queue.rows -= self._share(waiting)
            rows += 0 if is_late else waiting.rows
            (late if is_late else batch).append(waiting)
        return batch, late
