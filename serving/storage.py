"""Version directories on disk: which exist, which a policy wants, and whether one is still being written.

Source: TensorFlow Serving's file_system_storage_path_source.
"""

import contextlib
import logging
import os
import re
from pathlib import Path

from serving.model_config import All, Latest, ModelConfig, Specific

log = logging.getLogger(__name__)

MAX_VERSION = 2**63 - 1
Fingerprint = frozenset[tuple[str, int, int]]


def versions_on_disk(base_path: str) -> dict[int, Path]:
    """{version: directory} for every child of `base_path` whose name is an integer of 64 bits; others are ignored.

    Raises:
        OSError: `base_path` does not exist or cannot be read.
    """
    found: dict[int, Path] = {}
    for child in sorted(Path(base_path).iterdir()):
        if not re.fullmatch(r"[0-9]+", child.name) or not child.is_dir():
            continue
        version = int(child.name)
        if version > MAX_VERSION:
            continue
        if version in found:
            log.warning("%s and %s are both version %d; %s is served.", found[version], child, version, child)
        found[version] = child
    return found


def wanted_versions(found: dict[int, Path], policy: Latest | All | Specific) -> dict[int, Path]:
    """The part of `found` that `policy` asks for."""
    match policy:
        case Latest(num_versions):
            return {version: found[version] for version in sorted(found)[-num_versions:]}
        case Specific(versions):
            return {version: found[version] for version in versions if version in found}
    return found


def fingerprint(directory: Path) -> Fingerprint:
    """(path, size in bytes, modification time in ns) of every file below: equal twice means nobody wrote between."""
    seen = set()
    for folder, folders, files in os.walk(directory):  # passes over what it cannot list
        for name in folders + files:
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):  # renamed away between the listing and the look
                stat = os.stat(path)
                seen.add((path, stat.st_size, stat.st_mtime_ns))
    return frozenset(seen)


def nothing_found(config: ModelConfig) -> str:
    """What to say where a model has none of the versions that it is to have."""
    if isinstance(config.version_policy, Specific):
        numbers = ", ".join(map(str, config.version_policy.versions))
        return f"no version {numbers} under {config.base_path}, and its policy asks for no other."
    forgotten = "Did you forget to name your leaf directory as a number (eg. '/1/')?"
    base_path = Path(config.base_path)
    if (base_path / "saved_model.pb").exists():
        forgotten = f"It is a version itself: give {base_path.parent}."
    elif any(base_path.glob("*/*/saved_model.pb")):
        forgotten += " If models lie in it, --models_root serves them all."
    return f"no version under {config.base_path}. {forgotten}"
