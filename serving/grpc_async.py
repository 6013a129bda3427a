"""gRPC's own server in an event loop, and Predict in it: a call that waits for its batch keeps no thread.

It answers on ports with TLS, where gRPC's own arguments are given, and behind every `GrpcFront`.

Processor time a call, an echo behind a batcher of 16 and 32 calls in flight (h2load): `grpc.aio` 123 us, its threads
`grpc.server` 213 us, of which two thirds are threads changing hands; uvloop under `grpc.aio` changes nothing.
"""

import asyncio
import tempfile
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
from tensorflow_serving.apis import predict_pb2

from serving.answers import Answers
from serving.grpc_api import PredictionService, deadline_s, status_of
from serving.grpc_front import GrpcFront

T = TypeVar("T")


class GrpcServer:
    """A `grpc.aio` server on an event loop in a thread of its own; plain methods of servicers run in `threads`."""

    def __init__(self, threads: int, options: tuple[tuple[str, Any], ...]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="grpc", daemon=True)
        self._thread.start()
        self._pool = ThreadPoolExecutor(threads, "grpc")
        self.answers = Answers(self._loop)
        self.server = self.call(self._made(options))
        self._folder = tempfile.TemporaryDirectory(prefix="grpc-")
        self.fronts: list[GrpcFront] = []

    async def _made(self, options: tuple[tuple[str, Any], ...]) -> grpc.aio.Server:
        return grpc.aio.server(self._pool, options=options)  # it takes the running loop

    def add_front(self, address: str) -> None:
        """Opens `address` to a `GrpcFront`, which passes on to this server what it does not serve itself.

        Raises:
            OSError: the address cannot be had.
        """
        behind = f"{self._folder.name}/behind"
        if not self.fronts:
            self.server.add_insecure_port(f"unix:{behind}")
        self.fronts.append(GrpcFront(address, self._pool, behind))

    def start(self) -> None:
        self.call(self.server.start())
        for front in self.fronts:
            front.start()

    def stop(self, grace_s: float) -> None:
        """Takes no more calls, waits up to `grace_s` for those in flight, and ends."""
        stopped = self.schedule(self.server.stop(grace_s))
        closing = [threading.Thread(target=front.stop, args=(grace_s,)) for front in self.fronts]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
        stopped.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._pool.shutdown()
        self._folder.cleanup()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs it in the event loop, from another thread, which must hold no lock that the loop's calls may want."""
        return self.schedule(coroutine).result()

    def schedule(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Has the event loop run it, after all that were scheduled before."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


class AsyncPredictionService(PredictionService):
    """`PredictionService` for `GrpcServer`: Predict in the event loop, the rest in threads."""

    def __init__(self, answers: Answers, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._answers = answers

    async def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.aio.ServicerContext
    ) -> predict_pb2.PredictResponse:
        try:
            return await self.predict(request, deadline_s(context), self._answers.predict)
        except Exception as error:
            await context.abort(*status_of(error))
            raise
