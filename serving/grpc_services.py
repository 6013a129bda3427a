"""Which gRPC services a server offers: TensorFlow Serving's two, and by flag the profiler, health and reflection."""

from collections.abc import Callable, Mapping

from tensorflow_serving.apis import (
    model_service_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
)

from serving.call import Observer
from serving.flags import Flags
from serving.grpc_api import ModelService, Reload
from serving.grpc_async import AsyncPredictionService, GrpcServer
from serving.grpc_front import FrontPredictionService
from serving.models import Models
from serving.profiler import ProfilerService
from serving.versions import Version

PREDICTION = prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"]
MODEL = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"]
WHOLE_SERVER = ("", PREDICTION.full_name, MODEL.full_name)
ALWAYS = (PREDICTION.name, MODEL.name)  # as TensorFlow Serving has them


def add(
    server: GrpcServer, flags: Flags, models: Models, observer: Observer, is_ready: Callable[[], bool], reload: Reload
) -> Callable[[Version], None]:
    """Adds the services to `server`; returns what to call with every version that changes its state."""
    model = ModelService(models, reload, observer.metrics.total)
    options = {
        "as_content": flags.enable_serialization_as_tensor_content,
        "check_method_name": flags.enable_signature_method_name_check,
    }
    prediction = AsyncPredictionService(server.answers, models, observer, **options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server.server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(model, server.server)
    for front in server.fronts:
        front.add_service(PREDICTION, FrontPredictionService(models, observer, **options))
        front.add_service(MODEL, model)
    names = [PREDICTION.full_name, MODEL.full_name]
    if flags.enable_profiler:
        server.server.add_generic_rpc_handlers((ProfilerService().handler(),))
    on_change: Callable[[Version], None] = lambda version: None  # noqa: E731
    if flags.enable_grpc_healthcheck_service:
        from grpc_health.v1 import health

        on_change = _add_health(server, models, is_ready)
        names.append(health.SERVICE_NAME)
    if flags.enable_grpc_reflection:
        from grpc_reflection.v1alpha import reflection

        reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server.server)
    return on_change


def _add_health(server: GrpcServer, models: Models, is_ready: Callable[[], bool]) -> Callable[[Version], None]:
    """grpc.health.v1: a model's name is a service; the whole server is "" and the services' full names."""
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc

    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server.server)
    answers = {True: health_pb2.HealthCheckResponse.SERVING, False: health_pb2.HealthCheckResponse.NOT_SERVING}

    def tell(version: Version | None = None) -> None:
        names = {*models.statuses(), *([version.name] if version else ())}
        serving = {name: models.is_available(name) for name in names}
        serving |= dict.fromkeys(WHOLE_SERVER, is_ready()) | dict.fromkeys(ALWAYS, True)
        server.schedule(set_all(serving))  # under the models' lock, for which calls in the loop may wait

    async def set_all(serving: Mapping[str, bool]) -> None:
        for name, is_serving in serving.items():
            await servicer.set(name, answers[is_serving])

    tell()
    return tell
