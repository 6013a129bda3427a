"""What the client's two protocols have in common."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from serving.errors import Code, ServingError

Classes = list[tuple[str, float]]  # (class name, probability), best first


class VersionStatus(NamedTuple):
    """A version of the model: its state in TensorFlow Serving's words, and why it failed if it did."""

    version: int
    state: str
    error: str


class Transport(Protocol):
    """What a Client needs of a protocol; `version` None is the server's choice, its latest."""

    def predict(self, model: str, version: int | None, images: np.ndarray) -> np.ndarray: ...
    def predict_encoded(self, model: str, version: int | None, images: Sequence[bytes]) -> np.ndarray: ...
    def classify(self, model: str, version: int | None, images: Sequence[bytes]) -> list[Classes]: ...
    def status(self, model: str) -> list[VersionStatus]: ...
    def models(self) -> list[str]: ...
    def close(self) -> None: ...


def unreachable(url: str, reason: str) -> ServingError:
    """The error for a server that cannot be reached, in one sentence."""
    return ServingError(Code.UNAVAILABLE, f"No server answers at {url} ({reason}). `make serve` starts one.")
