"""TensorFlow Serving's gRPC services: bytes in, `inference` in the middle, bytes out; no rule of their own."""

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import grpc
import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving import codec_grpc, codec_metadata, inference, model_config
from serving.call import Call, ModelSpec, Observer
from serving.classification import Classification
from serving.errors import Code, ServingError
from serving.models import Models
from serving.servable import QueuedServable
from serving.signature import Arrays
from serving.versions import Version, VersionStatus

log = logging.getLogger(__name__)

Reload = Callable[[Sequence[model_config.ModelConfig], Callable[[], bool]], None]
Ask = Callable[[QueuedServable, str, Arrays, Sequence[str], float | None], Awaitable[Arrays]]

MESSAGE_LIMIT = 1024  # bytes, as TensorFlow Serving cuts them: HTTP/2 limits what a trailer holds
STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Classify, Regress, MultiInference and GetModelMetadata; and what Predict does, which waits without a thread, so
    that it is for `grpc_async` and `grpc_front` to say how.

    Args:
        as_content: answer with `tensor_content` instead of the typed fields.
        check_method_name: as `inference.classify` takes it.
    """

    def __init__(
        self, models: Models, observer: Observer, *, as_content: bool = False, check_method_name: bool = False
    ) -> None:
        self._models = models
        self._observer = observer
        self._as_content = as_content
        self._classify = functools.partial(inference.classify, check_method_name=check_method_name)
        self._regress = functools.partial(inference.regress, check_method_name=check_method_name)
        self._multi_inference = functools.partial(inference.multi_inference, check_method_name=check_method_name)

    async def predict(
        self, request: predict_pb2.PredictRequest, deadline_s: float | None, ask: Ask
    ) -> predict_pb2.PredictResponse:
        """What Predict answers; `ask` gets the outputs, and nothing else is waited for."""
        with self._call("Predict", request) as call:
            call.spec = spec = spec_of(request)
            with self._models.acquire(*spec[:3]) as version:
                call.version = version
                inputs = codec_grpc.to_arrays(request.inputs)
                call.took(inputs)
                started_s = time.perf_counter()
                outputs = await ask(version.loaded, spec.signature_name, inputs, request.output_filter, deadline_s)
                call.ran(time.perf_counter() - started_s)
                return to_response(version, spec, outputs, self._as_content)

    def Classify(
        self, request: classification_pb2.ClassificationRequest, context: grpc.ServicerContext
    ) -> classification_pb2.ClassificationResponse:
        with self._asked("Classify", request, context) as (call, version, spec):
            examples = _examples(call, request.input)
            result = call.timed(self._classify, version.loaded, spec.signature_name, examples, deadline_s(context))
            return classification_pb2.ClassificationResponse(
                model_spec=echo(version, spec), result=codec_grpc.to_classification_result(result)
            )

    def Regress(
        self, request: regression_pb2.RegressionRequest, context: grpc.ServicerContext
    ) -> regression_pb2.RegressionResponse:
        with self._asked("Regress", request, context) as (call, version, spec):
            examples = _examples(call, request.input)
            values = call.timed(self._regress, version.loaded, spec.signature_name, examples, deadline_s(context))
            return regression_pb2.RegressionResponse(
                model_spec=echo(version, spec), result=codec_grpc.to_regression_result(values)
            )

    def MultiInference(
        self, request: inference_pb2.MultiInferenceRequest, context: grpc.ServicerContext
    ) -> inference_pb2.MultiInferenceResponse:
        with reply_with_status(context), self._call("MultiInference", request) as call:
            specs = [to_model_spec(task.model_spec) for task in request.tasks]
            if not specs:
                raise ServingError(Code.INVALID_ARGUMENT, "Inference request must have at least one task.")
            if len({spec.name for spec in specs}) > 1:  # the first task says which version
                raise ServingError(
                    Code.INVALID_ARGUMENT,
                    f"All ModelSpecs in a MultiInferenceRequest must access the same model name, but it asks for "
                    f"{', '.join(sorted({spec.name for spec in specs}))}.",
                )
            call.spec = specs[0]
            with self._models.acquire(*specs[0][:3]) as version:
                call.version = version
                examples = _examples(call, request.input)
                tasks = [
                    (spec.signature_name, task.method_name) for spec, task in zip(specs, request.tasks, strict=True)
                ]
                results = call.timed(self._multi_inference, version.loaded, tasks, examples, deadline_s(context))
                return inference_pb2.MultiInferenceResponse(
                    results=[_inference_result(version, *pair) for pair in zip(specs, results, strict=True)]
                )

    def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        with reply_with_status(context):
            spec = spec_of(request)
            if not request.metadata_field:
                raise ServingError(
                    Code.INVALID_ARGUMENT, "GetModelMetadataRequest must specify at least one metadata_field"
                )
            for field in request.metadata_field:
                if field != "signature_def":
                    raise ServingError(Code.INVALID_ARGUMENT, f"Metadata field {field} is not supported")
            with self._models.acquire(*spec[:3]) as version:
                return codec_metadata.to_metadata(version.name, version.version, version.loaded.signature_defs)

    @contextlib.contextmanager
    def _asked(
        self, api: str, request: object, context: grpc.ServicerContext
    ) -> Iterator[tuple[Call, Version, ModelSpec]]:
        with reply_with_status(context), self._call(api, request) as call:
            call.spec = spec = spec_of(request)
            with self._models.acquire(*spec[:3]) as version:
                call.version = version
                yield call, version, spec

    def _call(self, api: str, request: object) -> Call:
        return Call(self._observer, api, "GRPC", request.ByteSize())  # type: ignore[attr-defined]


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest.

    Args:
        metric: the present sum of a metric by name, for the reload response's increases.
    """

    def __init__(self, models: Models, reload: Reload, metric: Callable[[str], int]) -> None:
        self._models = models
        self._reload = reload
        self._metric = metric

    def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        with reply_with_status(context):
            spec = spec_of(request)
            # TensorFlow Serving looks at the version alone here, never at the label.
            return _to_status(self._models.status(spec.name, spec.version))

    def HandleReloadConfigRequest(
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        with reply_with_status(context):
            if request.config.WhichOneof("config") != "model_config_list":
                raise ServingError(
                    Code.INVALID_ARGUMENT,
                    "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                    "Only ModelConfigList is currently supported",
                )
            before = {name: self._metric(name) for name in request.metric_names}
            configs = model_config.from_proto(request.config)
            given_up = threading.Event()  # grpc.aio's context for threads has no is_active
            context.add_callback(given_up.set)
            self._reload(configs, given_up.is_set)
            response = model_management_pb2.ReloadConfigResponse()
            response.status.SetInParent()
            for name, value in before.items():
                response.metric.add(name=name, int64_value_increase=self._metric(name) - value)
            return response


@contextlib.contextmanager
def reply_with_status(context: grpc.ServicerContext) -> Iterator[None]:
    """Turns a ServingError, and whatever else goes wrong, into the call's status."""
    try:
        yield
    except Exception as error:
        context.abort(*status_of(error))


def status_of(error: Exception) -> tuple[grpc.StatusCode, str]:
    """gRPC's status and message for a refusal; what is none is logged."""
    if isinstance(error, ServingError):
        return STATUS_CODES[error.code.grpc], _cut(error.message)
    log.error("A call failed inside the server.", exc_info=error)
    return grpc.StatusCode.INTERNAL, _cut(f"{type(error).__name__}: {error}")


def to_model_spec(proto: model_pb2.ModelSpec) -> ModelSpec:
    """What `proto` asks for.

    Raises:
        ServingError: INVALID_ARGUMENT when it names no model.
    """
    if not proto.name:
        raise ServingError(Code.INVALID_ARGUMENT, "ModelSpec has no name specified.")
    choice = proto.WhichOneof("version_choice")
    return ModelSpec(
        proto.name,
        proto.version.value if choice == "version" else None,
        proto.version_label if choice == "version_label" else None,
        proto.signature_name or inference.DEFAULT_SIGNATURE,
    )


def to_response(version: Version, spec: ModelSpec, outputs: Arrays, as_content: bool) -> predict_pb2.PredictResponse:
    return predict_pb2.PredictResponse(
        model_spec=echo(version, spec),
        outputs={name: codec_grpc.to_proto(array, as_content) for name, array in outputs.items()},
    )


def spec_of(request: object) -> ModelSpec:
    if not request.HasField("model_spec"):  # type: ignore[attr-defined]
        raise ServingError(Code.INVALID_ARGUMENT, "Missing ModelSpec")
    return to_model_spec(request.model_spec)  # type: ignore[attr-defined]


def echo(version: Version, spec: ModelSpec) -> model_pb2.ModelSpec:
    echo = model_pb2.ModelSpec(name=version.name, signature_name=spec.signature_name)
    echo.version.value = version.version
    return echo


def _examples(call: Call, proto: input_pb2.Input) -> np.ndarray:
    examples = codec_grpc.request_examples(proto)
    call.examples = len(examples)
    return examples


def _inference_result(
    version: Version, spec: ModelSpec, result: Classification | np.ndarray
) -> inference_pb2.InferenceResult:
    named = echo(version, spec)
    if isinstance(result, Classification):
        return inference_pb2.InferenceResult(
            model_spec=named, classification_result=codec_grpc.to_classification_result(result)
        )
    return inference_pb2.InferenceResult(model_spec=named, regression_result=codec_grpc.to_regression_result(result))


def _to_status(versions: list[VersionStatus]) -> get_model_status_pb2.GetModelStatusResponse:
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, state, error, _ in versions:
        line = response.model_version_status.add(version=version, state=int(state))
        line.status.SetInParent()
        if error:
            line.status.error_code, line.status.error_message = error.code.grpc, error.message
    return response


def deadline_s(context: grpc.ServicerContext) -> float | None:
    remaining_s = context.time_remaining()
    if remaining_s is None or remaining_s > threading.TIMEOUT_MAX:  # some clients say "no deadline" as 292 years
        return None
    return time.monotonic() + remaining_s


def _cut(message: str) -> str:
    data = message.encode("utf-8", "replace")
    return message if len(data) <= MESSAGE_LIMIT else data[:MESSAGE_LIMIT].decode("utf-8", "ignore") + "...TRUNCATED"
