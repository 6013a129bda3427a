"""What a batcher's threads answer, awaited in an event loop: no thread waits for a batch."""

import asyncio
import collections
import contextlib
import time
from collections.abc import Sequence

from serving import inference
from serving.errors import Code, ServingError
from serving.servable import QueuedServable
from serving.signature import Arrays

Answer = Arrays | ServingError


class Answers:
    """The answers on their way to one event loop; those that gather meanwhile need one wake-up of it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrived: collections.deque[tuple[asyncio.Future[Arrays], Answer]] = collections.deque()
        self._is_awake = False

    async def predict(
        self,
        servable: QueuedServable,
        signature_name: str,
        inputs: Arrays,
        output_filter: Sequence[str] = (),
        deadline_s: float | None = None,
    ) -> Arrays:
        """As `inference.predict`, and DEADLINE_EXCEEDED at the deadline even if the model still runs.

        Where the task is cancelled meanwhile, the batcher is told.
        """
        prepared = inference.prepared(servable, signature_name, inputs, output_filter)
        future: asyncio.Future[Arrays] = self._loop.create_future()
        request = servable.submit(signature_name, *prepared, deadline_s, lambda answer: self._arrive(future, answer))
        timer = None if deadline_s is None else self._loop.call_later(deadline_s - time.monotonic(), expire, future)
        try:
            return await future
        finally:
            request.cancel()  # without effect on what has run
            if timer is not None:
                timer.cancel()

    def _arrive(self, future: asyncio.Future[Arrays], answer: Answer) -> None:
        self._arrived.append((future, answer))
        if not self._is_awake:
            self._is_awake = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._is_awake = False
        while self._arrived:
            future, answer = self._arrived.popleft()
            if future.done():
                continue
            if isinstance(answer, ServingError):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def expire(future: asyncio.Future[Arrays]) -> None:
    if not future.done():
        future.set_exception(ServingError(Code.DEADLINE_EXCEEDED, "The deadline passed before the model had answered."))
