"""Folders of photographs that need no memory: decoded once into a file, read from there batch by batch.

Pictures are skipped, split and named as image_folder does; here they also get a hash of their content, so that a
picture that is learned from and tested on is told.
"""

import concurrent.futures
import dataclasses
import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training import image_folder, pictures, tree
from training.checkpoints import written_whole
from training.errors import InputError
from training.progress import progress

CHUNK = 32  # pictures decoded between two writes
NAMED = 10  # pairs of duplicates told in full


@dataclasses.dataclass(frozen=True)
class Photographs:
    """N labelled pictures: `labels` int32 [N] index `class_names`, `is_test` bool [N], `paths` within `source`.

    `rows` int64 [N] are their places in `file`, an .npy of uint8 [M, H, W, C].
    """

    name: str
    source: str
    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    is_test: np.ndarray
    digests: tuple[str, ...]
    file: Path
    rows: np.ndarray
    image_shape: tuple[int, int, int]

    @property
    def num_classes(self):
        return len(self.class_names)

    def images(self, indices):
        """uint8 [len(indices), H, W, C]; the file is mapped for the call alone, so its pages are not held."""
        return np.load(self.file, mmap_mode="r")[self.rows[indices]]


class Listing(NamedTuple):
    """The files of a folder: those below a class folder, and the paths of those outside any."""

    source: Path
    class_names: tuple[str, ...]
    found: list[image_folder.Picture]
    outside: list[str]


def find(source, seed):
    """The Listing of the folder `source`: `train/<class>/*` and `test/<class>/*`, or `<class>/*`, which `seed` splits.

    Raises:
        InputError: `source` is no folder or has neither layout.
    """
    source = Path(source)
    if not source.is_dir():
        what = "no folder; unpack it first" if source.exists() else "not there"
        raise InputError(f"{source} is {what}. Expected a folder of pictures with one folder a class.")
    folders, files = tree.without_wrapper(*tree.of_folder(source))
    found, class_names, outside = image_folder.arrange(source, folders, files, seed)
    return Listing(source, class_names, found, outside)


def cache_folder(runs_root, source):
    """Where what is made of the folder `source` is kept: one for each, since names repeat."""
    place = Path(source).resolve()
    return runs_root / "photographs" / f"{place.name}-{hashlib.sha256(os.fsencode(place)).hexdigest()[:8]}"


def read(listing, image_shape, cache):
    """The Photographs of `listing`, each turned into `image_shape`, (height, width, channels).

    Files that are no whole pictures are named on stderr and skipped; pictures of the test part that are in the
    training part too are told there. What was decoded is kept in the folder `cache` for the next time, in the place of
    what was before it of the same shape.

    Raises:
        InputError: a class has no picture to train on, there is none to test on, or `cache` cannot hold them all.
    """
    source, class_names, found, outside = listing
    cache.mkdir(parents=True, exist_ok=True)
    shape = "x".join(map(str, image_shape))
    file = cache / f"{shape}-{fingerprint(found, image_shape)}.npy"
    digests = decoded(found, image_shape, file)
    for old in cache.glob(f"{shape}-*"):
        if not old.name.startswith(file.stem):
            old.unlink()
    image_folder.report_skipped(outside, [each for each, digest in zip(found, digests, strict=True) if not digest])
    rows = [row for row, digest in enumerate(digests) if digest]
    kept = [found[row] for row in rows]
    image_folder.require_every_class(source, kept, class_names)
    photographs = Photographs(
        name=source.resolve().name,
        source=str(source),
        class_names=class_names,
        paths=tuple(each.path for each in kept),
        labels=np.array([each.label for each in kept], np.int32),
        is_test=np.array([each.is_test for each in kept]),
        digests=tuple(digests[row] for row in rows),
        file=file,
        rows=np.array(rows),
        image_shape=image_shape,
    )
    report_duplicates(duplicates(photographs))
    return photographs


def fingerprint(found, image_shape):
    """Changes when a file is added, removed or written to, and with the shape and the limit of what is read."""
    files = [(str(each.content.resolve()), each.content.stat()) for each in found]
    identity = repr(
        (image_shape, pictures.MOST_PIXELS, [(path, stat.st_size, stat.st_mtime_ns) for path, stat in files])
    )
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def decoded(found, image_shape, file):
    """Content hash of each picture, "" for what is none; decodes them all into `file` unless that was done before."""
    digests_file = file.with_suffix(".txt")  # written last: where it is, both are whole
    if file.exists() and digests_file.exists():
        return digests_file.read_text().split("\n")
    require_room(file.parent, len(found) * int(np.prod(image_shape)))
    done = progress("Reading pictures", len(found))
    digests = []
    with written_whole(file) as opened, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(found), *image_shape)}
        np.lib.format.write_array_header_1_0(opened, header)
        for first in range(0, len(found), CHUNK):
            chunk = found[first : first + CHUNK]
            images = np.zeros((len(chunk), *image_shape), np.uint8)
            digests += pool.map(decode_into, images, [each.content for each in chunk])
            opened.write(images)
            done(len(digests))
    with written_whole(digests_file) as opened:
        opened.write("\n".join(digests).encode())
    return digests


def decode_into(target, path):
    """Fills `target` with the picture: the hash of its file's content, or "" where it is no whole picture."""
    try:
        content = path.read_bytes()
    except OSError:
        return ""
    return hashlib.blake2b(content, digest_size=16).hexdigest() if pictures.decode_into(target, content) else ""


def require_room(folder, size_bytes):
    free = shutil.disk_usage(folder).free
    if size_bytes > free:
        raise InputError(
            f"The decoded pictures need {size_bytes / 1e6:,.1f} MB in {folder}, which has {free / 1e6:,.1f} MB left. "
            "Make room, give a smaller --image_size, or another --runs_root."
        )


def duplicates(photographs):
    """[(test path, training path)] of pictures with the same content on both sides."""
    learned = {}
    for path, digest, is_test in zip(photographs.paths, photographs.digests, photographs.is_test, strict=True):
        if not is_test:
            learned.setdefault(digest, path)
    tested = zip(photographs.paths, photographs.digests, photographs.is_test, strict=True)
    return [(path, learned[digest]) for path, digest, is_test in tested if is_test and digest in learned]


def report_duplicates(pairs):
    for tested, learned in pairs[:NAMED]:
        print(f"{tested} is also learned from, as {learned}.", file=sys.stderr)
    if pairs:
        print(
            f"{len(pairs)} test pictures have the content of a training picture, which flatters the accuracy; "
            "remove them on one side.",
            file=sys.stderr,
        )


class Parts(NamedTuple):
    """Indices of the pictures to train on, to choose by, and to score at the end."""

    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def part(photographs, share, seed):
    """The Parts, with a seeded `share` of each class's training pictures to choose by.

    A class keeps at least one picture to train on; of two or more, at least one is to choose by.

    Raises:
        InputError: no class has two.
    """
    training, validation = [], []
    for label in range(photographs.num_classes):
        members = np.flatnonzero((photographs.labels == label) & ~photographs.is_test)
        members = np.random.default_rng([seed, label]).permutation(members)
        held = min(max(1, round(share * len(members))), len(members) - 1)
        validation += members[:held].tolist()
        training += members[held:].tolist()
    if not validation:
        raise InputError(f"{photographs.source} has one training picture a class; expected two or more in some class.")
    return Parts(np.sort(training), np.sort(validation), np.flatnonzero(photographs.is_test))
