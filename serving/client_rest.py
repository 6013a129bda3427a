"""The client's REST half: JSON over the standard library's HTTP.

Not httpx, whose import takes 0.14 s of processor time where click and rich are installed too; this takes 0.03 s.
"""

import base64
import http.client
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import orjson

from serving.client_transport import Classes, VersionStatus, unreachable
from serving.errors import Code, ServingError


class RestTransport:
    """TensorFlow Serving's REST API over kept-alive connections, one for each call that runs at the same time."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url, self.timeout_s = url, timeout_s
        parts = urlsplit(url)
        connection = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._new = lambda: connection(parts.hostname or "", parts.port, timeout=timeout_s)
        self._prefix = parts.path.rstrip("/")
        self._idle: list[http.client.HTTPConnection] = []

    def predict(self, model: str, version: int | None, images: np.ndarray) -> np.ndarray:
        return self._predict(model, version, "serving_default", np.ascontiguousarray(images))

    def predict_encoded(self, model: str, version: int | None, images: Sequence[bytes]) -> np.ndarray:
        return self._predict(model, version, "encoded", [_b64(image) for image in images])

    def classify(self, model: str, version: int | None, images: Sequence[bytes]) -> list[Classes]:
        body = {"signature_name": "classify", "examples": [{"image/encoded": _b64(image)} for image in images]}
        results = self._post(model, version, "classify", body, "results")
        return [[(str(label), float(score)) for label, score in classes] for classes in results]

    def status(self, model: str) -> list[VersionStatus]:
        statuses = self._call("GET", _model_path(model), "model_version_status")
        return [VersionStatus(int(s["version"]), s["state"], s["status"]["error_message"]) for s in statuses]

    def models(self) -> list[str]:
        try:
            return [model["name"] for model in self._call("GET", "/v1/models", "models")]
        except ServingError as error:
            if error.code is Code.UNAVAILABLE:
                raise
            raise ServingError(error.code, "Name the model to ask: the server does not list its models.") from None

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _predict(self, model: str, version: int | None, signature_name: str, inputs: Any) -> np.ndarray:
        body = {"signature_name": signature_name, "inputs": inputs}
        outputs = self._post(model, version, "predict", body, "outputs")
        return np.asarray(outputs["probabilities"] if isinstance(outputs, dict) else outputs, np.float32)

    def _post(self, model: str, version: int | None, verb: str, body: dict[str, Any], key: str) -> Any:
        at = "" if version is None else f"/versions/{version}"
        data = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        return self._call("POST", f"{_model_path(model)}{at}:{verb}", key, data)

    def _call(self, method: str, path: str, key: str, body: bytes | None = None) -> Any:
        """The value at `key` of the JSON object that the server answers."""
        try:
            status, answer = self._exchange(method, self._prefix + path, body)
        except TimeoutError:
            raise ServingError(
                Code.DEADLINE_EXCEEDED, f"{self.url} did not answer within {self.timeout_s:g} seconds."
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self.url, str(error) or type(error).__name__) from None
        value = _parse(answer)
        if status == http.client.OK and key in value:
            return value[key]
        code = next((code for code in Code if code.http == status and status != http.client.OK), Code.UNKNOWN)
        quoted = answer[:100].decode(errors="replace")
        raise ServingError(code, value.get("error", f"{self.url} answered {status}, not as a model server: {quoted}"))

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        while True:
            try:
                connection, is_reused = self._idle.pop(), True
            except IndexError:
                connection, is_reused = self._new(), False
            try:
                connection.request(method, path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer = response.status, response.read()
            except (ConnectionError, http.client.HTTPException):
                connection.close()
                if not is_reused:
                    raise
                continue  # the server had closed it since the last call
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)
            return answer


def _model_path(model: str) -> str:
    return f"/v1/models/{quote(model, safe='')}"


def _b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def _parse(answer: bytes) -> dict[str, Any]:
    """A JSON object; empty where `answer` is none."""
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(answer)  # takes the NaN and Infinity that TensorFlow Serving writes
        except ValueError:
            value = None
    return value if isinstance(value, dict) else {}
