"""A gRPC port whose HTTP/2 never waits for the interpreter.

`pygrpc_native` speaks HTTP/2 and gRPC in Rust's threads and hands calls to one thread here, as many at a time as have
come. A batcher's thread answers Predict, which keeps no thread while it waits, and a pool's threads answer the rest.

Processor time a call, an echo and 32 calls in flight (h2load): `grpc.aio` 258 to 327 us, `pygrpc_native`'s own asyncio
server 328 to 442, its `NativeGrpcFront` read by one thread, as here, 28. Predict of All-CNN-C at width 1/3 takes 0.65
core-ms, of which the engine needs 0.43; with `grpc.aio` 0.95, and 32 callers got two thirds of the answers.
"""

import functools
import inspect
import logging
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple, NoReturn

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from pygrpc_native import NativeGrpcFront
from tensorflow_serving.apis import predict_pb2

from serving import inference
from serving.errors import Code, ServingError
from serving.grpc_api import PredictionService, deadline_s, status_of
from serving.processors import schedulable_processors
from serving.servable import Cancellable, QueuedServable
from serving.signature import Arrays

log = logging.getLogger(__name__)

CALLS_AT_ONCE = 64
MAX_STREAMS = 2**31 - 1  # gRPC's own servers set no limit
WRITE_S = 0.1  # the last answers get to be written, since closing drops what is not
CLOCKS_APART_S = 0.01  # between a deadline as Rust sees it and as we do

Answer = Arrays | Exception
Submit = Callable[[Callable[[Answer], None]], Cancellable]


class GrpcFront:
    """Listens at `address`, HOST:PORT or unix:PATH; services are added before it starts.

    Args:
        threads: where methods run that are no coroutines.
        behind: path of the UNIX socket of a gRPC server that is asked for whatever is not added here.

    Raises:
        OSError: the address cannot be had.
    """

    def __init__(self, address: str, threads: Executor, behind: str) -> None:
        self._front = NativeGrpcFront(
            address,
            [],
            io_threads=max(1, schedulable_processors() // 4),  # on two, one makes 7% more calls a second than two
            call_details=True,
            keepalive_permit_without_calls=False,
            max_concurrent_streams=MAX_STREAMS,
        )
        self._front.set_fallback(behind)
        self._threads = threads
        self._methods: dict[int, _Method] = {}
        self._calls: dict[int, _Call] = {}
        self._is_stopping = False
        self._idle = threading.Event()
        self._answers: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="grpc-reader", daemon=True)
        self._writer = threading.Thread(target=self._write, name="grpc-writer", daemon=True)

    def add_service(self, service: ServiceDescriptor, servicer: object) -> None:
        """Serves the methods of `service`, all of them unary, by those of `servicer` with their names."""
        ids = self._front.add_methods([(f"/{service.full_name}/{method.name}", False) for method in service.methods])
        for method_id, method in zip(ids, service.methods, strict=True):
            parse = message_factory.GetMessageClass(method.input_type).FromString
            answer = getattr(servicer, method.name)
            self._methods[method_id] = _Method(parse, answer, inspect.iscoroutinefunction(answer))

    def start(self) -> None:
        self._front.start()
        self._reader.start()
        self._writer.start()

    def stop(self, grace_s: float) -> None:
        """Takes no more calls, waits up to `grace_s` for those in flight, and ends."""
        self._is_stopping = True
        if self._calls:
            self._idle.wait(grace_s)
        self._reader.join(WRITE_S)
        self._front.close()
        self._reader.join()
        self._answers.put(None)
        self._writer.join()

    def _read(self) -> None:
        while (events := self._front.recv_batch_details(CALLS_AT_ONCE)) is not None:
            for _, call_id, method_id, payload, _, details in events:
                try:
                    if payload is None or details is None:  # the caller has left, or its deadline has passed
                        self._give_up(call_id)
                    elif self._is_stopping:
                        self._fail(call_id, grpc.StatusCode.UNAVAILABLE, "The server is stopping.")
                    else:
                        self._begin(call_id, method_id, payload, details[2])
                except Exception:  # this thread is every caller's
                    log.exception("A gRPC call failed inside the server.")

    def _begin(self, call_id: int, method_id: int, payload: bytes, remaining_s: float | None) -> None:
        parse, answer, is_coroutine = self._methods[method_id]
        call = self._calls[call_id] = _Call(call_id, remaining_s)
        try:
            request = parse(payload)
        except DecodeError:
            self._end(call, _Aborted(grpc.StatusCode.INTERNAL, "Exception deserializing request!"))
            return
        if is_coroutine:
            self._submit(call, answer(request, call))
        else:
            self._threads.submit(self._answer, call, answer, request)

    def _answer(self, call: "_Call", answer: Callable[[Any, "_Call"], Message], request: Message) -> None:
        try:
            result: Message | Exception = answer(request, call)
        except Exception as error:
            result = error
        self._end(call, result)

    def _submit(self, call: "_Call", coroutine: Coroutine[Submit, Any, Message]) -> None:
        submit = self._advance(call, coroutine.send, None)
        if submit is None:
            return
        resume = functools.partial(self._resume, call, coroutine)
        call.add_callback(lambda: resume(call.refusal()))
        try:
            call.add_callback(submit(resume).cancel)
        except Exception as error:
            resume(error)

    def _resume(self, call: "_Call", coroutine: Coroutine[Submit, Any, Message], answer: Answer) -> None:
        """Goes on with the first of what the model answers and the caller's leaving.

        Where others wait too, another thread does, while this one runs their batch: 13% more calls a second.
        """
        if not call.once.acquire(blocking=False):
            return
        if len(self._calls) > 1:
            self._answers.put(functools.partial(self._finish, call, coroutine, answer))
        else:
            self._finish(call, coroutine, answer)

    def _write(self) -> None:
        while (finish := self._answers.get()) is not None:
            try:
                finish()
            except Exception:  # as in `_read`
                log.exception("A gRPC call failed inside the server.")

    def _finish(self, call: "_Call", coroutine: Coroutine[Submit, Any, Message], answer: Answer) -> None:
        self._advance(call, coroutine.throw if isinstance(answer, Exception) else coroutine.send, answer)

    def _advance(self, call: "_Call", step: Callable[[Any], Submit], value: object) -> Submit | None:
        """What a coroutine waits for next; None where it has ended, which the caller is told."""
        try:
            return step(value)
        except StopIteration as end:
            self._end(call, end.value)
        except Exception as error:
            self._end(call, error)
        return None

    def _give_up(self, call_id: int) -> None:
        call = self._calls.get(call_id)
        if call is not None:
            call.give_up()

    def _end(self, call: "_Call", result: Message | Exception) -> None:
        written = serialized(result) if isinstance(result, Message) else result
        if isinstance(written, bytes):
            self._front.respond(call.id, written)
        else:
            self._fail(call.id, *(written.args if isinstance(written, _Aborted) else status_of(written)))
        call.end()
        del self._calls[call.id]
        if self._is_stopping and not self._calls:
            self._idle.set()

    def _fail(self, call_id: int, code: grpc.StatusCode, message: str) -> None:
        # A file's name in it need not be UTF-8.
        self._front.fail(call_id, code.value[0], message.encode("utf-8", "replace").decode())


def serialized(message: Message) -> bytes | Exception:
    """The message's bytes, or why it has none: it may be larger than a message can be."""
    try:
        return message.SerializeToString()
    except Exception as error:
        return error


class _Method(NamedTuple):
    parse: Callable[[bytes], Message]
    answer: Callable[..., Any]
    is_coroutine: bool


class _Aborted(Exception):
    """A gRPC status and its message."""


class _Call:
    """A call in flight, with what our servicers ask of a `grpc.ServicerContext`."""

    def __init__(self, id: int, remaining_s: float | None) -> None:
        self.id = id
        self.deadline_s = None if remaining_s is None else time.monotonic() + remaining_s
        self.once = threading.Lock()
        self._callbacks: list[Callable[[], object]] = []
        self._is_given_up = self._has_ended = False

    def time_remaining(self) -> float | None:
        return None if self.deadline_s is None else self.deadline_s - time.monotonic()

    def abort(self, code: grpc.StatusCode, message: str) -> NoReturn:
        raise _Aborted(code, message)

    def add_callback(self, callback: Callable[[], object]) -> None:
        self._callbacks.append(callback)
        if self._is_given_up:
            callback()
        if self._has_ended:
            self._callbacks.clear()

    def give_up(self) -> None:
        self._is_given_up = True
        for callback in self._callbacks:
            callback()

    def end(self) -> None:
        """Lets go of the callbacks, which hold the request that holds this call."""
        self._has_ended = True
        self._callbacks.clear()

    def refusal(self) -> ServingError:
        if self.deadline_s is not None and self.deadline_s <= time.monotonic() + CLOCKS_APART_S:
            return ServingError(Code.DEADLINE_EXCEEDED, "The deadline passed before the model had answered.")
        return ServingError(Code.CANCELLED, "The client has gone.")


class FrontPredictionService(PredictionService):
    """`PredictionService` for `GrpcFront`: Predict waits for its batch without a thread or an event loop."""

    async def Predict(self, request: predict_pb2.PredictRequest, call: _Call) -> predict_pb2.PredictResponse:
        return await self.predict(request, deadline_s(call), _ask)


async def _ask(
    servable: QueuedServable,
    signature_name: str,
    inputs: Arrays,
    output_filter: Sequence[str],
    deadline_s: float | None,
) -> Arrays:
    """As `Answers.predict`; `GrpcFront._submit` starts what is awaited, and `_resume` tells the answer."""
    prepared = inference.prepared(servable, signature_name, inputs, output_filter)
    return await _Submission(lambda done: servable.submit(signature_name, *prepared, deadline_s, done))


class _Submission(NamedTuple):
    submit: Submit

    def __await__(self) -> Generator[Submit, Arrays, Arrays]:
        return (yield self.submit)
