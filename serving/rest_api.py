"""TensorFlow Serving's REST API, and what goes beyond it: health, the list of models, reload and unload.

One ASGI application on Starlette's requests and responses. TensorFlow Serving matches the whole target, query string
included, against regular expressions and answers 400 to whatever fits none; so does this, instead of a router.
"""

import asyncio
import functools
import gzip
import io
import logging
import re
import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import NamedTuple, TypeVar
from urllib.parse import unquote

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving import codec_grpc, codec_metadata, codec_rest, inference, metrics, model_config
from serving.answers import Answers
from serving.call import Call, ModelSpec, Observer
from serving.errors import Code, ServingError
from serving.images import decode_image
from serving.models import Models
from serving.signature import Arrays
from serving.versions import Version, VersionStatus

log = logging.getLogger(__name__)

T = TypeVar("T")

MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
PREDICTION = re.compile(MODEL + r":(?P<api>classify|regress|predict)", re.IGNORECASE)
STATUS = re.compile(MODEL + r"(?P<metadata>/metadata)?", re.IGNORECASE)
UNLOAD = re.compile(r"/v1/models/(?P<name>[^/:]+):unload", re.IGNORECASE)
READY_MODEL = re.compile(r"/v2/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+))?/ready")

MAX_INFLATED_BYTES = 100 * 2**20
LARGE_BODY_BYTES = 2**16  # numbers of 0.2 ms to read, in which the event loop answers nobody else
MAX_INT64 = 2**63 - 1
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
NOT_FOUND_PAGE = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"


class RestOptions(NamedTuple):
    """What the flags decide about REST."""

    timeout_s: float | None = 30.0  # None: a call is never given up
    cors: bool = False
    metrics_path: str | None = None
    admin: bool = False
    check_method_name: bool = False


class RestApi:
    """The ASGI application.

    Args:
        executor: threads for bodies of LARGE_BODY_BYTES, compressed or with pictures, and for all but predict; the
            event loop does the rest.
        is_ready: whether the server is to get requests; see Server.is_ready.
        reload: applies a configuration, None for "look at the files again", and waits until it is loaded.
        unload: takes one model out of the configuration.
    """

    def __init__(
        self,
        models: Models,
        observer: Observer,
        executor: Executor,
        *,
        is_ready: Callable[[], bool],
        reload: Callable[[tuple[model_config.ModelConfig, ...] | None], None],
        unload: Callable[[str], None],
        options: RestOptions,
    ) -> None:
        self._models = models
        self._observer = observer
        self._executor = executor
        self._answers_here: Answers | None = None
        self._is_ready = is_ready
        self._reload = reload
        self._unload = unload
        self._options = options
        self._classify = functools.partial(inference.classify, check_method_name=options.check_method_name)
        self._regress = functools.partial(inference.regress, check_method_name=options.check_method_name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            response = await self._respond(Request(scope, receive))
        except ClientDisconnect:
            return
        if self._options.cors:
            response.headers.update(CORS)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
        target = f"{path}?{query}" if query else path
        try:
            if request.method == "POST" and (match := PREDICTION.fullmatch(target)):
                body = await request.body()
                if "gzip" in request.headers.get("content-encoding", ""):
                    body = await self._in_thread(_inflated, body)
                if match["api"].lower() == "predict":
                    return _json(await self._predict(match, body))
                return _json(await self._in_thread(self._classify_or_regress, match, body))
            return await self._answer_rarer(request, path, target)
        except ServingError as error:
            return _json(codec_rest.encode_error(error.message), error.code.http)
        except ClientDisconnect:
            raise
        except Exception as error:
            log.exception("A request failed inside the server.")
            return _json(codec_rest.encode_error(f"{type(error).__name__}: {error}"), Code.INTERNAL.http)

    def _deadline_s(self) -> float | None:
        return None if self._options.timeout_s is None else time.monotonic() + self._options.timeout_s

    async def _predict(self, match: re.Match[str], body: bytes) -> bytes:
        with Call(self._observer, "predict", "REST", len(body)) as call:
            deadline_s = self._deadline_s()
            if len(body) < LARGE_BODY_BYTES and b'"b64"' not in body:
                version, spec, inputs, rows = self._decoded(call, match, body)
            else:
                version, spec, inputs, rows = await self._in_thread(self._decoded, call, match, body)
            with version:
                started_s = time.perf_counter()
                outputs = await self._answers().predict(version.loaded, spec.signature_name, inputs, (), deadline_s)
                call.ran(time.perf_counter() - started_s)
                if sum(array.size for array in outputs.values()) < LARGE_BODY_BYTES // 16:
                    return codec_rest.encode_predict(outputs, rows)
                return await self._in_thread(codec_rest.encode_predict, outputs, rows)

    def _decoded(self, call: Call, match: re.Match[str], body: bytes) -> tuple[Version, ModelSpec, Arrays, bool]:
        """The version, held, and what it is asked; the last says whether the body gives rows."""
        document = codec_rest.parse(body)
        call.spec = spec = _spec(match, document)
        call.version = version = self._models.acquire(*spec[:3])
        try:
            signature = version.loaded.signatures.get(spec.signature_name)
            if signature is None:
                raise ServingError(
                    Code.INVALID_ARGUMENT,
                    f'Serving signature name: "{spec.signature_name}" not found in signature def. '
                    f"Signatures of this model: {', '.join(sorted(version.loaded.signatures))}.",
                )
            inputs, rows = codec_rest.decode_predict(
                document, signature.inputs, defaults=signature.defaults, decode_image=decode_image
            )
            call.took(inputs)
            return version, spec, inputs, rows
        except BaseException:
            version.__exit__()
            raise

    def _classify_or_regress(self, match: re.Match[str], body: bytes) -> bytes:
        api = match["api"].lower()
        with Call(self._observer, api, "REST", len(body)) as call:
            deadline_s = self._deadline_s()
            document = codec_rest.parse(body)
            call.spec = spec = _spec(match, document)
            with self._models.acquire(*spec[:3]) as version:
                call.version = version
                examples = codec_grpc.serialize_examples(codec_rest.decode_examples(document))
                call.examples = len(examples)
                if api == "classify":
                    result = call.timed(self._classify, version.loaded, spec.signature_name, examples, deadline_s)
                    return codec_rest.encode_classify(result)
                values = call.timed(self._regress, version.loaded, spec.signature_name, examples, deadline_s)
                return codec_rest.encode_regress(values)

    def _answers(self) -> Answers:
        if self._answers_here is None:  # made where its event loop runs
            self._answers_here = Answers(asyncio.get_running_loop())
        return self._answers_here

    async def _in_thread(self, run: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, run, *args)

    async def _answer_rarer(self, request: Request, path: str, target: str) -> Response:
        if request.method == "GET" and path == self._options.metrics_path:
            return Response(self._observer.metrics.page(), media_type=metrics.CONTENT_TYPE)
        if request.method == "GET" and (health := self._health(path)) is not None:
            return health
        if not path.lower().startswith("/v1/"):
            return Response(NOT_FOUND_PAGE, 404, media_type="text/html")
        if request.method == "OPTIONS":
            return self._preflight(request.headers)
        if request.method == "GET":
            if target.lower().rstrip("/") == "/v1/models":
                return _json(_models_body(self._models.statuses()))
            if match := STATUS.fullmatch(target):
                return self._status(match)
        if request.method == "POST" and self._options.admin:
            if target.lower() == "/v1/config:reload":
                return await self._administer(self._reload, _config_in(await request.body()))
            if match := UNLOAD.fullmatch(target):
                return await self._administer(self._unload, unquote(match["name"]))
        raise ServingError(Code.INVALID_ARGUMENT, f"Malformed request: {request.method} {target}")

    def _status(self, match: re.Match[str]) -> Response:
        name, version_number, label = _model_of(match)
        if match["metadata"]:
            with self._models.acquire(name, version_number, label) as version:
                return _json(
                    codec_metadata.encode_metadata(
                        codec_metadata.to_metadata(version.name, version.version, version.loaded.signature_defs)
                    )
                )
        return _json(codec_rest.encode_status(map(_status_line, self._models.status(name, version_number))))

    def _health(self, path: str) -> Response | None:
        """Liveness, readiness and KServe v2's paths; None when `path` is none of them."""
        if path in ("/v1/health/live", "/v2/health/live"):
            return _json(b'{"live": true}')
        if path in ("/v1/health/ready", "/v2/health/ready"):
            ready = self._is_ready()
            return _json(b'{"ready": true}' if ready else b'{"ready": false}', 200 if ready else 503)
        if match := READY_MODEL.fullmatch(path):
            name = unquote(match["name"])
            try:
                with self._models.acquire(name, _version_number(match["version"])) as version:
                    return _json(orjson.dumps({"name": name, "version": str(version.version), "ready": True}))
            except ServingError as error:
                return _json(orjson.dumps({"name": name, "ready": False, "error": error.message}), error.code.http)
        return None

    def _preflight(self, headers: Mapping[str, str]) -> Response:
        if re.match(r"https?://", headers.get("origin", "")):
            return _json(b"")
        raise ServingError(Code.FAILED_PRECONDITION, "Origin header is missing or not of the form http(s)://...")

    async def _administer(self, action: Callable, *args: object) -> Response:
        await asyncio.to_thread(action, *args)  # a reload may wait for long, and requests have the other threads
        return _json(_models_body(self._models.statuses()))


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


def _spec(match: re.Match[str], document: codec_rest.Document) -> ModelSpec:
    return ModelSpec(*_model_of(match), codec_rest.signature_name(document) or inference.DEFAULT_SIGNATURE)


def _model_of(match: re.Match[str]) -> tuple[str, int | None, str | None]:
    label = unquote(match["label"]) if match["label"] else None
    return unquote(match["name"]), _version_number(match["version"]), label


def _version_number(digits: str | None) -> int | None:
    if digits is None:
        return None
    short = digits.lstrip("0") or "0"
    if len(short) > len(str(MAX_INT64)) or int(short) > MAX_INT64:  # Python reads no more than 4,300 digits
        raise ServingError(Code.INVALID_ARGUMENT, f"Failed to convert version: {digits} to numeric.")
    return int(short)


def _status_line(status: VersionStatus) -> codec_rest.VersionStatus:
    code, message = (status.error.code.name, status.error.message) if status.error else ("OK", "")
    return codec_rest.VersionStatus(status.version, status.state.name, code, message)


def _models_body(models: Mapping[str, list[VersionStatus]]) -> bytes:
    def version_line(status: VersionStatus) -> dict[str, object]:
        return {"version": str(status.version), "state": status.state.name, "engines": dict(status.engines)}

    lines = [{"name": name, "versions": list(map(version_line, versions))} for name, versions in models.items()]
    return orjson.dumps({"models": lines}, option=orjson.OPT_INDENT_2)


def _inflated(body: bytes) -> bytes:
    try:
        inflated = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MAX_INFLATED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ServingError(
            Code.INVALID_ARGUMENT, f"The body says Content-Encoding: gzip but does not inflate: {error}."
        ) from error
    if len(inflated) > MAX_INFLATED_BYTES:
        raise ServingError(Code.INVALID_ARGUMENT, f"The gzip body inflates to more than {MAX_INFLATED_BYTES:,} bytes.")
    return inflated


def _config_in(body: bytes) -> tuple[model_config.ModelConfig, ...] | None:
    return model_config.from_json(body) if body.strip() else None
