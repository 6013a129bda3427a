"""Folders and tar archives of pictures, one folder a class, read into arrays of one size.

The layout is `train/<class>/*` and `test/<class>/*`, or `<class>/*`, of which a seeded fifth of each class becomes the
test part. A single folder around either is looked through.
"""

import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from training import pictures
from training.errors import InputError

TEST_SHARE = 0.2  # of each class, where the folder has no test part of its own


class Picture(NamedTuple):
    """One file below a class folder; `content` is its path, or its bytes when it comes from an archive."""

    path: str
    label: int
    is_test: bool
    content: Path | bytes


def load(source, *, image_size=None, seed=0):
    """(((images, labels) of train, (images, labels) of test), class names) of the folder or tar archive `source`.

    Args:
        image_size: height and width of every image; by default see `pictures.common_shape`.
        seed: of the split, where `source` has no test part.

    Files that are no whole pictures are named on stderr and skipped, with their count at the end.

    Raises:
        InputError: `source` has neither layout, a class without pictures, or no picture to test on.
    """
    folders, files = list_archive(source) if source.is_file() else list_folder(source)
    folders, files = without_wrapper(folders, files)
    found, class_names, skipped = arrange(source, folders, files, seed)
    images, is_read = pictures.read([picture.content for picture in found], image_size)
    skipped += [picture.path for picture, read in zip(found, is_read, strict=True) if not read]
    report_skipped(skipped)
    kept = [picture for picture, read in zip(found, is_read, strict=True) if read]
    require_every_class(source, kept, class_names)
    labels = np.array([picture.label for picture in kept], np.int32)
    is_test = np.array([picture.is_test for picture in kept])
    return ((images[~is_test], labels[~is_test]), (images[is_test], labels[is_test])), class_names


def list_folder(folder):
    """(paths of the folders below `folder`, {path of a file: its full Path}), sorted, with / between parts."""
    below = sorted(folder.rglob("*"))
    files = {path.relative_to(folder).as_posix(): path for path in below if path.is_file()}
    return [path.relative_to(folder).as_posix() for path in below if path.is_dir()], files


def list_archive(path):
    """The same of a tar archive, compressed or not; files as bytes, for a compressed archive is read front to back."""
    folders, files = set(), {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name).as_posix()
                parents = [parent.as_posix() for parent in PurePosixPath(name).parents]
                folders.update(parents)
                if member.isdir():
                    folders.add(name)
                elif member.isfile():
                    files[name] = archive.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(
            f"{path} is no folder and no whole tar archive ({error}); expected pictures in one folder a class."
        ) from error
    return sorted(folders - {"."}), dict(sorted(files.items()))


def without_wrapper(folders, files):
    """The listing with a lone outer folder taken off every path, as archives often have one."""
    tops = {path.split("/")[0] for path in [*folders, *files]}
    inner = [path for path in folders if "/" in path]
    if len(tops) != 1 or not inner:
        return folders, files
    return without_wrapper(
        [path.split("/", 1)[1] for path in inner],
        {path.split("/", 1)[1]: content for path, content in files.items() if "/" in path},
    )


def arrange(source, folders, files, seed):
    """(pictures, class names, paths of files outside any class folder)."""
    has_parts = {"train", "test"} <= set(folders)
    depth = 2 if has_parts else 1
    classes = [tuple(path.split("/")) for path in folders if path.count("/") == depth - 1]
    if has_parts:
        classes = [path for path in classes if path[0] in ("train", "test")]
    class_names = tuple(sorted({path[-1] for path in classes if path[0] != "test" or not has_parts}))
    require_classes(source, class_names, classes)
    members = {path: [name for name in files if tuple(name.split("/")[:depth]) == path] for path in classes}
    empty = ["/".join(path) for path, names in members.items() if not names]
    if empty:
        raise InputError(f"{source} has empty class folders: {', '.join(empty)}. Put pictures in or remove them.")
    found = []
    for path, names in members.items():
        label = class_names.index(path[-1])
        is_test = [path[0] == "test"] * len(names) if has_parts else split(len(names), [seed, label])
        found += [Picture(n, label, bool(t), files[n]) for n, t in zip(names, is_test, strict=True)]
    inside = {picture.path for picture in found}
    return found, class_names, [name for name in files if name not in inside]


def split(count, seed):
    """bool [count]: True for the fifth, at least one, that is held out for the test."""
    is_test = np.arange(count) < max(1, round(count * TEST_SHARE))
    return np.random.default_rng(seed).permutation(is_test)


def require_classes(source, class_names, classes):
    if len(class_names) < 2:
        raise InputError(
            f"{source} has {len(class_names)} class folders ({', '.join(class_names) or 'none'}); expected two or more "
            "in the layout train/<class>/* and test/<class>/*, or <class>/*."
        )
    strangers = sorted({path[-1] for path in classes} - set(class_names))
    if strangers:
        raise InputError(
            f"{source} tests on classes that train/ does not have: {', '.join(strangers)}. "
            f"Classes of train/: {', '.join(class_names)}."
        )


def require_every_class(source, kept, class_names):
    """Each class must have a picture to learn from, and the whole set one to test on."""
    trained = {picture.label for picture in kept if not picture.is_test}
    missing = [name for label, name in enumerate(class_names) if label not in trained]
    if missing:
        raise InputError(f"{source} has no picture to train on for: {', '.join(missing)}. Add some or remove them.")
    if not any(picture.is_test for picture in kept):
        raise InputError(f"{source} has no picture to test on; put some under test/<class>/.")


def report_skipped(paths):
    for path in paths:
        print(f"Skipped {path}: not a whole picture in a class folder.", file=sys.stderr)
    if paths:
        print(f"Skipped {len(paths)} files in all.", file=sys.stderr)
