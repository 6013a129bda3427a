"""The gRPC server's event loop, and Predict in it: a call that waits for its batch keeps no thread.

Processor time a call, an echo behind a batcher of 16 and 32 calls in flight (h2load): `grpc.aio` 123 us, its threads
`grpc.server` 213 us, of which two thirds are threads changing hands; uvloop under `grpc.aio` changes nothing.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
from tensorflow_serving.apis import predict_pb2

from serving import codec_grpc
from serving.answers import Answers
from serving.grpc_api import PredictionService, deadline_s, spec_of, status_of, to_response

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

    async def _made(self, options: tuple[tuple[str, Any], ...]) -> grpc.aio.Server:
        return grpc.aio.server(self._pool, options=options)  # it takes the running loop

    def start(self) -> None:
        self.call(self.server.start())

    def stop(self, grace_s: float) -> None:
        """Takes no more calls, waits up to `grace_s` for those in flight, and ends."""
        self.call(self.server.stop(grace_s))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._pool.shutdown()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs it in the event loop, from another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


class AsyncPredictionService(PredictionService):
    """`PredictionService` for `GrpcServer`: Predict in the event loop, the rest in threads."""

    def __init__(self, answers: Answers, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._answers = answers

    async def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.aio.ServicerContext
    ) -> predict_pb2.PredictResponse:
        try:
            with self._call("Predict", request) as call:
                call.spec = spec = spec_of(request)
                with self._models.acquire(*spec[:3]) as version:
                    call.version = version
                    inputs = codec_grpc.to_arrays(request.inputs)
                    call.took(inputs)
                    started_s = time.perf_counter()
                    outputs = await self._answers.predict(
                        version.loaded,
                        spec.signature_name,
                        inputs,
                        request.output_filter,
                        deadline_s(context),
                    )
                    call.ran(time.perf_counter() - started_s)
                    return to_response(version, spec, outputs, self._as_content)
        except Exception as error:
            await context.abort(*status_of(error))
            raise
