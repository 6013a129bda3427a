"""The client's gRPC half: TensorFlow Serving's stubs, which import TensorFlow where it is not left out."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.client_transport import Classes, VersionStatus, unreachable
from serving.codec_grpc import to_array, to_proto
from serving.errors import Code, ServingError

CHANNEL_OPTIONS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
UNREACHED = ("failed to connect", "DNS resolution failed")  # how gRPC's own details begin, not a server's


class GrpcTransport:
    """PredictionService and ModelService on one channel."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url, self.timeout_s = url, timeout_s
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        address = f"{host}:{parts.port or 8500}"
        if parts.scheme == "grpcs":
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(), CHANNEL_OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address, CHANNEL_OPTIONS)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(self, model: str, version: int | None, images: np.ndarray) -> np.ndarray:
        return self._predict(_spec(model, version, "serving_default"), "images", images)

    def predict_encoded(self, model: str, version: int | None, images: Sequence[bytes]) -> np.ndarray:
        return self._predict(_spec(model, version, "encoded"), "image_bytes", np.array(images, object))

    def classify(self, model: str, version: int | None, images: Sequence[bytes]) -> list[Classes]:
        request = classification_pb2.ClassificationRequest(model_spec=_spec(model, version, "classify"))
        for image in images:
            example = request.input.example_list.examples.add()
            example.features.feature["image/encoded"].bytes_list.value.append(image)
        response = self._call(self._prediction.Classify, request)
        return [[(c.label, c.score) for c in one.classes] for one in response.result.classifications]

    def status(self, model: str) -> list[VersionStatus]:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=_spec(model))
        response = self._call(self._model.GetModelStatus, request)
        state = get_model_status_pb2.ModelVersionStatus.State
        return [
            VersionStatus(one.version, state.Name(one.state), one.status.error_message)
            for one in response.model_version_status
        ]

    def models(self) -> list[str]:
        raise ServingError(Code.INVALID_ARGUMENT, "Name the model to ask: TensorFlow Serving's gRPC API lists none.")

    def close(self) -> None:
        self._channel.close()

    def _predict(self, spec: model_pb2.ModelSpec, input_name: str, values: np.ndarray) -> np.ndarray:
        request = predict_pb2.PredictRequest(model_spec=spec, output_filter=["probabilities"])
        request.inputs[input_name].CopyFrom(to_proto(values, as_content=values.dtype != object))
        outputs = self._call(self._prediction.Predict, request).outputs
        return np.array(to_array(outputs["probabilities"], "probabilities"))

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self.timeout_s)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE and error.details().startswith(UNREACHED):
                raise unreachable(self.url, "connection failed") from None
            code = next(code for code in Code if code.grpc == error.code().value[0])
            raise ServingError(code, error.details()) from None


def _spec(model: str, version: int | None = None, signature_name: str = "") -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=model, signature_name=signature_name)
    if version is not None:
        spec.version.value = version
    return spec
