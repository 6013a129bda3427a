"""Folders and tar archives of pictures, one folder a class, read into arrays of one size.

The layout is `train/<class>/*` and `test/<class>/*`, or `<class>/*`, of which a seeded fifth of each class becomes the
test part. Upper case is as good, and `val/` is the test part where there is no `test/`. A single folder around either
layout is looked through. Hidden files and folders are left out; links are followed.
"""

import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training import pictures, tree
from training.errors import InputError

TEST_SHARE = 0.2  # of each class, where the folder has no test part of its own
TRAINING_PARTS = ("train", "training")
TEST_PARTS = ("test", "testing", "val", "valid", "validation")  # the first that is there


class Picture(NamedTuple):
    """One file below a class folder; `content` is its path, or its bytes when it comes from an archive."""

    path: str
    label: int
    is_test: bool
    content: Path | bytes


def load(source, *, image_size=None, channels=None, seed=0, test_only=False):
    """(((images, labels) of train, (images, labels) of test), class names) of the folder or tar archive `source`.

    Args:
        image_size: height and width of every image; by default see `pictures.common_shape`.
        channels: 1 or 3; by default see there too.
        seed: of the split, where `source` has no test part.
        test_only: whether no picture to train on is read.

    Pictures come in an order of chance, always the same: the first of them are of every class, as they are of the
    datasets with a name. Files that are no whole pictures are named on stderr and skipped.

    Raises:
        InputError: `source` has neither layout, a class without pictures, or no picture to test on.
    """
    listed = tree.of_archive(source) if source.is_file() else tree.of_folder(source)
    folders, files = tree.without_wrapper(*listed)
    arranged, class_names, outside = arrange(source, folders, files, seed)
    if test_only:
        arranged = [picture for picture in arranged if picture.is_test]
    shuffled = [arranged[at] for at in np.random.default_rng(0).permutation(len(arranged))]
    found = sorted(shuffled, key=lambda picture: picture.is_test)
    images, is_read = pictures.read([picture.content for picture in found], image_size, channels)
    report_skipped(outside, [picture for picture, read in zip(found, is_read, strict=True) if not read])
    kept = [picture for picture, read in zip(found, is_read, strict=True) if read]
    require_every_class(source, kept, () if test_only else class_names)
    labels = np.array([picture.label for picture in kept], np.int32)
    count = sum(not picture.is_test for picture in kept)
    return ((images[:count], labels[:count]), (images[count:], labels[count:])), class_names


def arrange(source, folders, files, seed):
    """(pictures, class names, paths of files outside any class folder and of links to nothing)."""
    parts = part_folders(source, folders)
    if parts:
        folders, files = only(parts, folders, files)
    depth = 2 if parts else 1
    classes = [tuple(path.split("/")) for path in folders if path.count("/") == depth - 1]
    class_names = tuple(sorted({path[-1] for path in classes if not parts or path[0] == parts[0]}))
    require_classes(source, class_names, classes)
    members = {path: [] for path in classes}
    for name, content in files.items():
        if content is not None:
            members.get(tuple(name.split("/")[:depth]), []).append(name)
    empty = ["/".join(path) for path, names in members.items() if not names]
    if empty:
        raise InputError(f"{source} has empty class folders: {', '.join(empty)}. Put pictures in or remove them.")
    found = []
    for path, names in members.items():
        label = class_names.index(path[-1])
        is_test = [path[0] == parts[1]] * len(names) if parts else split(len(names), [seed, label])
        found += [Picture(n, label, bool(t), files[n]) for n, t in zip(names, is_test, strict=True)]
    inside = {picture.path for picture in found}
    return found, class_names, [name for name in files if name not in inside]


def part_folders(source, folders):
    """(the top folder to train on, the one to test on), or () where the top folders are classes.

    Raises:
        InputError: there is one of the two, with folders in it as no class has.
    """
    tops = [path for path in folders if "/" not in path]
    parts = [
        next((top for name in names for top in tops if top.lower() == name), None)
        for names in (TRAINING_PARTS, TEST_PARTS)
    ]
    if None not in parts:
        return tuple(parts)
    for part in filter(None, parts):
        if any(path.startswith(f"{part}/") for path in folders):
            missing = "train/ to train on" if parts[0] is None else "test/ or val/ to test on"
            raise InputError(
                f"{source} has folders in {part}/ but no {missing}. Expected train/<class>/* and test/<class>/*, or "
                f"<class>/*; to have a fifth of {part}/ held out for the test, give that folder alone."
            )
    return ()


def only(parts, folders, files):
    """The listing without the top folders that are none of the `parts`, which are told."""
    others = {path for path in folders if "/" not in path and path not in parts}
    if others:
        told = ", ".join(f"{path}/" for path in sorted(others))
        print(f"Training on {parts[0]}/ and testing on {parts[1]}/; left out: {told}.", file=sys.stderr)
    return (
        [path for path in folders if path.split("/")[0] not in others],
        {path: content for path, content in files.items() if path.split("/")[0] not in others},
    )


def split(count, seed):
    """bool [count]: True for the fifth, at least one, that is held out for the test."""
    is_test = np.arange(count) < max(1, round(count * TEST_SHARE))
    return np.random.default_rng(seed).permutation(is_test)


def require_classes(source, class_names, classes):
    if len(class_names) < 2:
        found = f"one class folder, {class_names[0]}" if class_names else "no class folder"
        raise InputError(
            f"{source} has {found}; expected two or more in the layout train/<class>/* and test/<class>/*, or "
            "<class>/*."
        )
    for name in (str(source), source.resolve().name, *class_names):
        if not is_text(name):
            raise InputError(f"{source}: the name {os.fsencode(name)} is not one line of UTF-8; rename that folder.")
    strangers = sorted({path[-1] for path in classes} - set(class_names))
    if strangers:
        raise InputError(
            f"{source} tests on classes that train/ does not have: {', '.join(strangers)}. "
            f"Classes of train/: {', '.join(class_names)}."
        )


def is_text(name):
    """Whether `name` can stand in a line of labels.txt; other bytes than UTF-8 are surrogates in it."""
    return name.splitlines() == [name] and name.encode("utf-8", "ignore").decode() == name


def require_every_class(source, kept, class_names):
    """Each class must have a picture to learn from, and the whole set one to test on."""
    trained = {picture.label for picture in kept if not picture.is_test}
    missing = [name for label, name in enumerate(class_names) if label not in trained]
    if missing:
        raise InputError(f"{source} has no picture to train on for: {', '.join(missing)}. Add some or remove them.")
    if not any(picture.is_test for picture in kept):
        raise InputError(f"{source} has no picture to test on; put some under test/<class>/.")


def printable(path):
    """`path` without what a terminal would take for more than a sign."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in path)


def report_skipped(outside, unread):
    """Names the paths `outside` and the Pictures `unread` on stderr with what is wrong, and counts them."""
    faults = dict.fromkeys(outside, "in no class folder") | {each.path: pictures.fault(each.content) for each in unread}
    for path, fault in faults.items():
        print(f"Skipped {printable(path)}: {fault}.", file=sys.stderr)
    if faults:
        print(f"Skipped in all: {len(faults)}.", file=sys.stderr)
