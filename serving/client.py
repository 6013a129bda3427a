"""The Python client and its command line: images to a server of TensorFlow Serving's API, over REST or gRPC.

Over REST it imports no TensorFlow and starts in 0.10 s of processor time, nearly all of it numpy's.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self
from urllib.parse import urlsplit

import numpy as np

from serving.client_rest import RestTransport
from serving.client_transport import Classes, Transport, VersionStatus
from serving.errors import Code, ServingError
from serving.quiet import leave_out_tensorflow

FORMATS = "JPEG, PNG, WebP, GIF or BMP"
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF8", b"BM")  # how files of FORMATS begin
GREYS = bytes(byte for tone in range(256) for byte in (tone, tone, tone, 0))
COLUMNS, LABEL_COLUMNS, TOP = 80, 24, 5


class Client:
    """Asks one model of the server at `url`: http://, https://, grpc:// or grpcs:// with host and port.

    Without `model_name` it asks the only model that the server has, which only a server of ours can tell, over REST.
    May be shared between threads. Every call raises ServingError: the server's own words where it answers, and
    UNAVAILABLE or DEADLINE_EXCEEDED where it does not.
    """

    def __init__(self, url: str, model_name: str = "", *, timeout_s: float = 30.0) -> None:
        self.transport = _connect(url, timeout_s)
        self._model_name = model_name

    @property
    def model_name(self) -> str:
        if not self._model_name:
            names = self.transport.models()
            if len(names) != 1:
                found = f"The server has: {', '.join(names)}." if names else "The server has none."
                raise ServingError(
                    Code.INVALID_ARGUMENT, f"Name the model to ask: --model=NAME, or NAME=... to make predict. {found}"
                )
            self._model_name = names[0]
        return self._model_name

    def predict(self, images: np.ndarray, *, version: int | None = None) -> np.ndarray:
        """Probabilities float32 [N, num_classes] of images uint8 [N, H, W, C], 0..255."""
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ServingError(
                Code.INVALID_ARGUMENT, f"images must be uint8 [N, H, W, C], got {images.dtype} {list(images.shape)}."
            )
        return self.transport.predict(self.model_name, version, images)

    def predict_encoded(self, images: Sequence[bytes], *, version: int | None = None) -> np.ndarray:
        """Probabilities float32 [N, num_classes] of JPEG, PNG, WebP, GIF or BMP files of any size."""
        _check_encoded(images)
        return self.transport.predict_encoded(self.model_name, version, images)

    def classify(self, images: Sequence[bytes], *, version: int | None = None) -> list[Classes]:
        """For each JPEG, PNG, WebP, GIF or BMP file every class with its probability, best first."""
        _check_encoded(images)
        return self.transport.classify(self.model_name, version, images)

    def status(self) -> list[VersionStatus]:
        """The model's versions and their states."""
        return self.transport.status(self.model_name)

    def close(self) -> None:
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _connect(url: str, timeout_s: float) -> Transport:
    parts = urlsplit(url)
    try:
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        is_address = False
    if is_address and parts.scheme in ("grpc", "grpcs"):
        from serving.client_grpc import GrpcTransport  # here, since it imports TensorFlow, or its protos

        return GrpcTransport(url, timeout_s)
    if is_address and parts.scheme in ("http", "https"):
        return RestTransport(url, timeout_s)
    raise ServingError(
        Code.INVALID_ARGUMENT, f"{url!r} is no server's URL. Write http://localhost:8501 or grpc://localhost:8500."
    )


def _check_encoded(images: object) -> None:
    if isinstance(images, list | tuple) and images and all(isinstance(image, bytes) for image in images):
        return
    kind = type(images).__name__
    if isinstance(images, list | tuple):
        kind += f" of {', '.join(sorted({type(image).__name__ for image in images})) or 'nothing'}"
    raise ServingError(Code.INVALID_ARGUMENT, f"images must be a list of files' contents, bytes; got a {kind}.")


def read_picture(path: str) -> bytes:
    """The bytes of a JPEG, PNG, WebP, GIF or BMP file.

    Raises:
        ServingError: there is no such file, or it begins as none of these.
    """
    if not path:
        raise ServingError(
            Code.INVALID_ARGUMENT, "Name a picture to ask about: --image=some.png, or IMAGE=some.png to make predict."
        )
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ServingError(Code.NOT_FOUND, f"{path} cannot be read: {error.strerror}.") from None
    if not data.startswith(PICTURES) or (data.startswith(b"RIFF") and data[8:12] != b"WEBP"):
        raise ServingError(Code.INVALID_ARGUMENT, f"{path} is no picture. Expected a {FORMATS} file.")
    if data.startswith(b"BM") and _has_palette(data):
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"{path} is a BMP with a palette, whose numbers would be taken for tones. Save it as PNG.",
        )
    return data


def _has_palette(bmp: bytes) -> bool:
    """Whether its pixels are numbers of colours, other than 256 tones of grey in their order."""
    start = 14 + int.from_bytes(bmp[14:18], "little")
    return 0 < int.from_bytes(bmp[28:30], "little") <= 8 and not bmp[start:].startswith(GREYS)


def _newest_available(client: Client) -> int:
    statuses = client.status()
    available = [status.version for status in statuses if status.state == "AVAILABLE"]
    if not available:
        states = ", ".join(f"version {s.version} is {s.state}{s.error and ': '}{s.error}" for s in statuses)
        raise ServingError(Code.UNAVAILABLE, f"Model {client.model_name} has no version to ask: {states or 'none'}.")
    return max(available)


def table(classes: Classes) -> str:
    """The top five classes, each with its probability and a bar, in at most 80 columns."""
    top = [(name if len(name) <= LABEL_COLUMNS else f"{name[: LABEL_COLUMNS - 1]}…", p) for name, p in classes[:TOP]]
    widest = max((len(name) for name, _ in top), default=0)
    room = COLUMNS - widest - len("    100.0%  ")
    return "\n".join(f"  {name:<{widest}}  {p:6.1%}  {'█' * round(p * room)}".rstrip() for name, p in top)


def ask(url: str, model_name: str, image: str) -> str:
    """What the server says `image` shows: the model, its version, the milliseconds, and the table of classes."""
    picture = read_picture(image)
    with Client(url, model_name) as client:
        version = _newest_available(client)
        start = time.perf_counter()
        try:
            classes = client.classify([picture], version=version)[0]
        except ServingError as error:
            if error.code is Code.INVALID_ARGUMENT:
                raise ServingError(error.code, f"{image}: {error.message}") from None
            raise
        latency_ms = (time.perf_counter() - start) * 1000
        return f"{client.model_name} version {version}: {latency_ms:.1f} ms\n{table(classes)}"


class _Parser(argparse.ArgumentParser):  # not tyro, whose import takes as long as all of the client's
    def error(self, message: str) -> NoReturn:
        _refuse(f"{message[0].upper()}{message[1:]}.")


def _refuse(sentence: str) -> NoReturn:
    print(f"convzoo-predict: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def main(argv: Sequence[str] | None = None) -> None:
    parser = _Parser("convzoo-predict", description="Ask a running server what a picture shows.", allow_abbrev=False)
    parser.add_argument("--url", default="http://localhost:8501", help="http://host:port or grpc://host:port")
    parser.add_argument("--image", default="", help=f"a {FORMATS} file of any size")
    parser.add_argument("--model", default="", help="the model's name; over REST the server's only one if left out")
    arguments = parser.parse_args(argv)
    leave_out_tensorflow()
    try:
        answer = ask(arguments.url, arguments.model, arguments.image)
    except ServingError as error:
        _refuse(error.message.partition("\n")[0])  # TensorFlow's own go on with the graph's nodes
    encoding = sys.stdout.encoding or "utf-8"
    try:
        answer.encode(encoding)
    except UnicodeEncodeError:  # a terminal without blocks, or without a class name's letters
        answer = answer.replace("█", "#").encode(encoding, "replace").decode(encoding)
    print(answer)


if __name__ == "__main__":
    main()
