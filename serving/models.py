"""The models as requests see them: who can be asked, by which version or label, and in which state each version is."""

import threading

from serving.errors import Code, ServingError
from serving.versions import Model, Version, VersionStatus


class Models:
    """Every model that the server has been told of, by name. The repository changes it under `changed`, its lock."""

    def __init__(self) -> None:
        self.by_name: dict[str, Model] = {}
        self.changed = threading.Condition(threading.RLock())

    def acquire(self, name: str, version: int | None = None, label: str | None = None) -> Version:
        """The asked version, held until the `with` block around it ends; the latest where neither is given.

        Raises:
            ServingError: NOT_FOUND for an unknown model or version, INVALID_ARGUMENT for an unknown label.
        """
        with self.changed:
            model = self.by_name.get(name)
            version = self._labelled(name, model, label) if label is not None else _asked(version, model)
            available = model.available() if model else []
            if not available or (version is not None and version not in available):
                raise self._not_found(name, version, available)
            chosen = model.versions[available[-1] if version is None else version]  # type: ignore[union-attr]
            with chosen.idle:
                chosen.in_flight += 1
            return chosen

    def status(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """States of one version or, newest first, of all that this server has seen.

        Raises:
            ServingError: NOT_FOUND when there is none.
        """
        with self.changed:
            model = self.by_name.get(name)
            versions = model.versions if model else {}
            version = _asked(version, model)
            if not versions:
                raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
            if version is not None and version not in versions:
                raise ServingError(Code.NOT_FOUND, f"Could not find version {version} of model {name}")
            numbers = sorted(versions, reverse=True) if version is None else [version]
            return [versions[number].status for number in numbers]

    def statuses(self) -> dict[str, list[VersionStatus]]:
        """{name: states of its versions} for every configured model."""
        with self.changed:
            configured = [name for name, model in self.by_name.items() if model.config]
            return {name: self.status(name) if self.by_name[name].versions else [] for name in sorted(configured)}

    def is_available(self, name: str) -> bool:
        """Whether some version of `name` can be asked."""
        with self.changed:
            return name in self.by_name and bool(self.by_name[name].available())

    def _labelled(self, name: str, model: Model | None, label: str) -> int:
        if model is None or label not in model.labels:
            known = f"Labels of {name}: {', '.join(model.labels) or 'none'}." if model else f"There is no model {name}."
            raise ServingError(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}. {known}")
        return model.labels[label]

    def _not_found(self, name: str, version: int | None, available: list[int]) -> ServingError:
        request = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        if available:
            rest = f"Loaded versions: {', '.join(map(str, available))}."
        elif served := [other for other, model in self.by_name.items() if model.available()]:
            rest = f"Models served: {', '.join(sorted(served))}."
        else:
            rest = "No model is loaded."
        return ServingError(Code.NOT_FOUND, f"Servable not found for request: {request}. {rest}")


def _asked(version: int | None, model: Model | None) -> int | None:
    """OpenVINO Model Server's clients ask for version 0 when they mean the latest; a model may still have a 0."""
    return None if version == 0 and (model is None or 0 not in model.versions) else version
