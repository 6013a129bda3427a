"""TensorFlow's ProfilerService: what TensorFlow does for a while, written where TensorBoard finds it.

    tf.profiler.experimental.client.trace("grpc://localhost:8500", "/tmp/logs", 2000)

Source: TSL's profiler_service.proto and profiler_service_impl.cc; TensorFlow Serving has the service on its gRPC port.
"""

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import grpc

from serving.config_protos import MESSAGE, STRING, UINT32, UINT64, Field, message_classes
from serving.quiet import put_tensorflow_back

SERVICE = "tensorflow.ProfilerService"
TRACERS = ("host_tracer_level", "device_tracer_level", "python_tracer_level")
MESSAGES = message_classes(
    "tensorflow",
    {
        "ProfileOptions": tuple(Field(name, number, UINT32) for number, name in enumerate(TRACERS, 2)),
        "ProfileRequest": (
            Field("duration_ms", 1, UINT64),
            Field("opts", 4, MESSAGE, ".tensorflow.ProfileOptions"),
            Field("repository_root", 5, STRING),
            Field("session_id", 6, STRING),
            Field("host_name", 7, STRING),
        ),
        "ProfileResponse": (),
        "TerminateRequest": (Field("session_id", 1, STRING),),
        "TerminateResponse": (),
    },
)


class ProfilerService:
    """Profile and Terminate, for a `grpc.aio` server; Monitor is for TPUs, and refused there too."""

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Event] = {}

    def handler(self) -> grpc.GenericRpcHandler:
        methods = {"Profile": self.profile, "Terminate": self.terminate}
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    method,
                    request_deserializer=MESSAGES[f"{name}Request"].FromString,
                    response_serializer=MESSAGES[f"{name}Response"].SerializeToString,
                )
                for name, method in methods.items()
            },
        )

    async def profile(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Traces for `duration_ms` or until Terminate; INTERNAL where another trace runs or nothing can be written."""
        await asyncio.to_thread(put_tensorflow_back)
        from tensorflow import errors, profiler

        end = asyncio.Event()
        place = Path(request.repository_root, request.session_id, f"{request.host_name.replace(':', '_')}.xplane.pb")
        with tempfile.TemporaryDirectory() as folder:
            tracers = {name: getattr(request.opts, name) for name in TRACERS}
            try:
                profiler.experimental.start(folder, profiler.experimental.ProfilerOptions(**tracers))
            except errors.AlreadyExistsError:
                await context.abort(grpc.StatusCode.INTERNAL, "Another profiling session active.")
            self._ends[request.session_id] = end
            try:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(end.wait(), request.duration_ms / 1000)
            finally:  # also where the caller has left
                del self._ends[request.session_id]
                await asyncio.to_thread(profiler.experimental.stop)
            try:
                await asyncio.to_thread(move, next(Path(folder).rglob("*.xplane.pb")), place)
            except OSError as error:
                await context.abort(grpc.StatusCode.INTERNAL, f"{place} cannot be written: {error.strerror}.")
        return MESSAGES["ProfileResponse"]()

    async def terminate(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        end = self._ends.get(request.session_id)
        if end is not None:
            end.set()
        return MESSAGES["TerminateResponse"]()


def move(found: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(found, place)
