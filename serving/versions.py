"""A model's versions and the states they move through, by TensorFlow Serving's names and numbers."""

import enum
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from serving.errors import Code, ServingError
from serving.model_config import ModelConfig
from serving.servable import QueuedServable
from serving.storage import Fingerprint


class State(enum.IntEnum):
    """A version's state, by the numbers of `ModelVersionStatus.State`."""

    UNKNOWN = 0
    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class VersionStatus(NamedTuple):
    """`engines` says for each signature who runs it and why; empty unless the version can be asked."""

    version: int
    state: State
    error: ServingError | None
    engines: Mapping[str, str]


@dataclass(eq=False)
class Version:
    """One version of a model. As a context manager it is what `Models.acquire` lends to a request."""

    name: str
    version: int
    path: Path
    state: State = State.START
    servable: QueuedServable | None = None
    error: ServingError | None = None
    attempts: int = 0
    retry_at_s: float | None = None
    seen: Fingerprint = frozenset()
    in_flight: int = 0
    idle: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.idle:
            self.in_flight -= 1
            if not self.in_flight:
                self.idle.notify_all()

    def has_signature(self, name: str) -> bool:
        servable = self.servable  # which an unloading takes away
        return servable is not None and name in servable.signatures

    @property
    def status(self) -> VersionStatus:
        servable = self.servable
        return VersionStatus(self.version, self.state, self.error, servable.engine_report if servable else {})

    @property
    def loaded(self) -> QueuedServable:
        servable = self.servable
        if servable is None:
            raise ServingError(Code.UNAVAILABLE, f"Version {self.version} of {self.name!r} is not loaded.")
        return servable


@dataclass(eq=False)
class Model:
    config: ModelConfig | None  # None once it has been taken out of the configuration
    versions: dict[int, Version] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    wanted: dict[int, Path] = field(default_factory=dict)
    missing: str = ""  # what was said last of having no version to load

    def available(self) -> list[int]:
        return sorted(number for number, version in self.versions.items() if version.state is State.AVAILABLE)

    def require_labels(self, config: ModelConfig, versions: Collection[int], new_may_wait: bool) -> None:
        """Checks that each label of `config` can be on its version, one of `versions`.

        Args:
            new_may_wait: whether labels that the model has not yet may be on other versions.

        Raises:
            ServingError: FAILED_PRECONDITION otherwise.
        """
        for label, version in config.version_labels.items():
            may_wait = new_may_wait and label not in self.labels
            if version not in versions and self.labels.get(label) != version and not may_wait:
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model {config.name}, "
                    f"which is not currently available for inference. Label {label!r} can be on one of: "
                    f"{', '.join(map(str, sorted(versions))) or 'none yet'}.",
                )

    def settle_labels(self) -> None:
        """Moves each label whose version can be asked, and leaves the others where they are."""
        if self.config:
            wanted, available = self.config.version_labels, self.available()
            kept = {label: version for label, version in self.labels.items() if label in wanted}
            self.labels = kept | {label: version for label, version in wanted.items() if version in available}
