"""Requests that wait together run together.

Natural batching, the default: while a signature is idle a request runs at once, and while it is busy whatever has
arrived meanwhile runs as one batch. Nothing ever waits for company. A signature takes part only if it keeps no state
and its rows are independent, which is tried before its first batch (`serving.independence`).

With TensorFlow Serving's BatchingParameters the same queues keep its rules: sizes, padding, timeout, queue length,
splitting, and its refusals.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from serving import batch_arrays
from serving.batch_queue import Answer, Done, Queues, Waiting
from serving.errors import Code, ServingError
from serving.independence import Independence
from serving.model_config import BatchingParameters
from serving.servable import Cancellable, Servable, batches_at_a_time
from serving.signature import Arrays, Signature
from serving.workers import Workers

log = logging.getLogger(__name__)

# So that of 32 callers one half is decoded and encoded while the other half's batch runs. Calls a second over gRPC,
# 32 waiting, two processors, All-CNN-C at width 1/3: 16 rows 4,130; 32 rows 3,690; 16 rows in two batches at a time
# 3,780.
NATURAL_ROWS = 16

TRIAL_S = 5.0  # of one run in a trial: a loop until all are 1 may never end on values that nobody has sent

# Above, a request runs beside the queue: it would hold up all others of its signature for all of its turns.
LARGE_ROWS = 8 * NATURAL_ROWS

Observe = Callable[[str, int, list[float]], None]


class Batched:
    """A `serving.servable.Servable` around another that runs concurrent requests together.

    Args:
        workers: the threads that run the batches, shared by all models.
        parameters: TensorFlow Serving's rules; None for natural batching.
        observe: called after each batch with the signature's name, its rows, and the seconds each request waited.
    """

    def __init__(
        self,
        servable: Servable,
        workers: Workers,
        parameters: BatchingParameters | None = None,
        observe: Observe = lambda *_: None,
    ) -> None:
        self._servable = servable
        self._workers = workers
        self._rules = parameters or natural_rules()
        self._is_natural = parameters is None
        self._observe = observe
        self._queues = Queues(workers, self._rules, self._run_batch)
        self._idle = threading.Condition()
        self._running = 0
        self._is_closed = False
        self._independence: dict[tuple[str, tuple[str, ...]], Independence] = {}
        self._batchable = {name for name in servable.signatures if self._may_batch(name)}

    @property
    def signatures(self) -> Mapping[str, Signature]:
        return self._servable.signatures

    @property
    def signature_defs(self) -> Mapping[str, Any]:
        return self._servable.signature_defs

    @property
    def engine_report(self) -> Mapping[str, str]:
        return self._servable.engine_report

    @property
    def stateful(self) -> frozenset[str]:
        return self._servable.stateful

    def run(
        self, signature_name: str, inputs: Arrays, outputs: Sequence[str], deadline_s: float | None = None
    ) -> Arrays:
        """As `Servable.run`; besides, raises what `submit` raises."""
        answers: list[Answer] = []
        answered = threading.Event()

        def done(answer: Answer) -> None:
            answers.append(answer)
            answered.set()

        request = self.submit(signature_name, inputs, outputs, deadline_s, done)
        if not answered.wait(None if deadline_s is None else max(0, deadline_s - time.monotonic())):
            request.cancel()
            raise ServingError(Code.DEADLINE_EXCEEDED, "The deadline passed before the model had answered.")
        if isinstance(answers[0], ServingError):
            raise answers[0]
        return answers[0]

    def submit(
        self, signature_name: str, inputs: Arrays, outputs: Sequence[str], deadline_s: float | None, done: Done
    ) -> Cancellable:
        """Starts what `run` does and returns; `done` is called with the answer, in a worker's thread.

        Raises:
            ServingError: INVALID_ARGUMENT for too many rows or inputs that disagree on them, UNAVAILABLE for a full
                queue.
        """
        names = tuple(outputs)
        rows, most = batch_arrays.rows(inputs), self._rules.execution_batch_size
        if signature_name not in self._batchable or (self._is_natural and (rows is None or rows > LARGE_ROWS)):
            request = Waiting(inputs, 1, deadline_s, done)
            self._workers.put(functools.partial(self._run_alone, signature_name, names, request))
            return request
        if rows is None:
            raise batch_arrays.without_rows(inputs)
        if self._is_natural or rows <= most:
            # In natural batching other shapes are no error, only no company.
            shapes = tuple(array.shape[1:] for array in inputs.values()) if self._is_natural else ()
            request = Waiting(inputs, rows, deadline_s, done)
            self._queues.put((signature_name, names, shapes), [request])
            return request
        if rows > self._rules.max_batch_size:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"Task size {rows} is larger than maximum input batch size {self._rules.max_batch_size}",
            )
        pieces = batch_arrays.Pieces(-(-rows // most), done)
        pieces.waiting = parts = [
            Waiting(batch_arrays.part(inputs, start, start + most), min(most, rows - start), deadline_s, piece)
            for start, piece in zip(range(0, rows, most), pieces, strict=True)
        ]
        self._queues.put((signature_name, names, ()), parts)
        return pieces

    def close(self) -> None:
        """As `Servable.close`, after the batches that still run for callers who have given up."""
        with self._idle:
            self._is_closed = True
            self._idle.wait_for(lambda: not self._running)
        self._servable.close()

    def _run(
        self, signature_name: str, outputs: tuple[str, ...], inputs: Arrays, deadline_s: float | None = None
    ) -> Arrays:
        with self._idle:
            if self._is_closed:
                raise ServingError(Code.UNAVAILABLE, "The version was unloaded while the request was queued.")
            self._running += 1
        try:
            return self._servable.run(signature_name, inputs, outputs, deadline_s)
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def _may_batch(self, name: str) -> bool:
        """Naturally, what has free rows in and out, keeps no state, and has outputs whose size is not up to the values
        of the inputs; by the rules, what can have rows at all."""
        inputs, outputs = self.signatures[name].inputs.values(), self.signatures[name].outputs.values()
        if not self._is_natural:
            return bool(inputs) and all(spec.shape is None or spec.shape[:1] == (None,) for spec in inputs)
        shapes = [spec.shape for spec in (*inputs, *outputs)]
        if not inputs or name in self.stateful or not all(shape and shape[0] is None for shape in shapes):
            return False
        has_free_inputs, has_free_outputs = (
            any(None in (spec.shape or ())[1:] for spec in specs) for specs in (inputs, outputs)
        )
        return has_free_inputs or not has_free_outputs

    def _run_alone(self, signature_name: str, outputs: tuple[str, ...], request: Waiting) -> bool:
        if request.is_late(time.monotonic()):
            request.done(request.refusal())
        else:
            request.done(self._answer(signature_name, outputs, request.inputs, request.deadline_s))
        return False

    def _run_batch(self, key: Any, batch: list[Waiting]) -> None:
        signature_name, outputs, _ = key
        started_s = time.monotonic()
        try:
            answers = self._answers(signature_name, outputs, batch)
        except Exception as error:
            answers = [internal(error)] * len(batch)
        rows = sum(request.rows for request in batch)
        self._observe(signature_name, rows, [started_s - request.since_s for request in batch])
        for request, answer in zip(batch, answers, strict=True):
            request.done(answer)

    def _answers(self, signature_name: str, outputs: tuple[str, ...], batch: Sequence[Waiting]) -> Sequence[Answer]:
        if len(batch) > 1 and self._is_natural and not self._is_independent(signature_name, outputs, batch):
            return self._apart(signature_name, outputs, batch)
        deadlines = [request.deadline_s for request in batch if request.deadline_s is not None]
        deadline_s = max(deadlines) if len(deadlines) == len(batch) else None
        try:
            joined = batch_arrays.join([request.inputs for request in batch], self._rules)
            answer = self._answer(signature_name, outputs, joined, deadline_s)
            if isinstance(answer, ServingError):
                # One request's fault is not its neighbours'.
                return [answer] if len(batch) == 1 else self._apart(signature_name, outputs, batch)
            if len(batch) == 1 and self._is_natural:
                return [answer]
            total = len(next(iter(joined.values())))
            return batch_arrays.split(answer, [request.rows for request in batch], total)
        except ServingError as error:
            if not self._is_natural:
                return [error] * len(batch)
            # As many rows as the values of the inputs have it, which trials do not always show.
            self._independence[signature_name, outputs].refuse(error.message)
            return self._apart(signature_name, outputs, batch)

    def _apart(self, signature_name: str, outputs: tuple[str, ...], batch: Sequence[Waiting]) -> list[Answer]:
        return [self._answer(signature_name, outputs, request.inputs, request.deadline_s) for request in batch]

    def _answer(
        self, signature_name: str, outputs: tuple[str, ...], inputs: Arrays, deadline_s: float | None
    ) -> Answer:
        try:
            return self._run(signature_name, outputs, inputs, deadline_s)
        except ServingError as error:
            return error
        except Exception as error:
            return internal(error)

    def _is_independent(self, signature_name: str, outputs: tuple[str, ...], batch: Sequence[Waiting]) -> bool:
        found = self._independence.setdefault((signature_name, outputs), Independence())
        if not found.is_known:
            found.learn(
                [request.inputs for request in batch],
                lambda inputs: self._run(signature_name, outputs, inputs, time.monotonic() + TRIAL_S),
            )
            if found.reason:
                log.info("Requests for %s run apart: %s.", signature_name, found.reason)
        return found.is_known and not found.reason


def internal(error: Exception) -> ServingError:
    """What a caller is told of an error that is the server's or the model's own; the log has the rest."""
    log.error("A model failed inside the server.", exc_info=error)
    return ServingError(Code.INTERNAL, f"{type(error).__name__}: {error}")


def natural_rules() -> BatchingParameters:
    return BatchingParameters(
        max_batch_size=NATURAL_ROWS, max_enqueued_batches=2048, num_batch_threads=batches_at_a_time()
    )
