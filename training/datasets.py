"""Datasets by name, folder or archive: uint8 images [N, H, W, C], int32 labels [N] and class names."""

import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training import idx, image_folder
from training.class_names import CLASS_NAMES
from training.errors import InputError
from zoo.spelling import did_you_mean

LEAST_HELD_OUT = 100


class Split(NamedTuple):
    """One part of a dataset: `images` uint8 [N, H, W, C], 0..255, RGB or one channel; `labels` int32 [N]."""

    images: np.ndarray
    labels: np.ndarray

    def take(self, indices):
        return Split(self.images[indices], self.labels[indices])


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Labelled images in two parts; `labels` index `class_names`, `source` says where the files came from, and
    `split_seed`, where pictures may have been split by one, which."""

    name: str
    class_names: tuple[str, ...]
    train: Split
    test: Split
    source: str
    split_seed: int | None = None

    @property
    def image_shape(self):
        return self.train.images.shape[1:]

    @property
    def num_classes(self):
        return len(self.class_names)

    @functools.cached_property
    def digest(self):
        """Hexadecimal digits, others for other class names, images or labels, or for another order or split of them."""
        found = hashlib.blake2b(repr((self.class_names, self.train.images.shape)).encode(), digest_size=16)
        for array in (*self.train, *self.test):
            found.update(np.ascontiguousarray(array))
        return found.hexdigest()


def load(name_or_folder, *, data_dir=None, image_size=None, channels=None, seed=0, test_only=False):
    """The dataset of that name, or of the pictures in that folder or tar archive.

    Args:
        name_or_folder: a name in CLASS_NAMES, or the path of `train/<class>/*` and `test/<class>/*`, or of
            `<class>/*`, which `seed` splits.
        data_dir: where the IDX files of fashion_mnist or mnist lie; by default they are looked for.
        image_size: height and width every picture of a folder is resized to; by default image_folder's choice.
        channels: 1 or 3 of a folder's pictures; by default image_folder's choice.
        test_only: whether a folder's training pictures are left out, with their memory.

    Raises:
        InputError: there is no such dataset, or its files are missing, cut short or not what they should be.
    """
    if not name_or_folder:
        raise InputError("No dataset is given. Give a name, or the path of a folder or tar archive of pictures.")
    path = Path(name_or_folder)
    if name_or_folder in CLASS_NAMES:
        parts, source = load_named(name_or_folder, data_dir)
        side = parts[0][0].shape[1]
        if image_size not in (None, side):
            raise InputError(
                f"The images of {name_or_folder} are {side} pixels wide and high, and only pictures of folders and "
                f"archives are made another size; got the image size {image_size}."
            )
        class_names, split_seed = CLASS_NAMES[name_or_folder], None
        require_labels(parts, class_names, source)
    elif path.exists():
        if data_dir:
            raise InputError(f"--data_dir {data_dir} is for fashion_mnist and mnist; leave it out with {path}.")
        given = {"image_size": image_size, "channels": channels, "seed": seed, "test_only": test_only}
        parts, class_names = image_folder.load(path, **given)
        name_or_folder, source, split_seed = path.resolve().name.split(".")[0], str(path), seed
    else:
        raise InputError(unknown_dataset(str(name_or_folder)))
    train, test = (Split(images, labels.astype("int32")) for images, labels in parts)
    return Dataset(name_or_folder, class_names, train, test, source, split_seed)


def require_labels(parts, class_names, source):
    largest = max(int(labels.max()) for _, labels in parts)
    if largest >= len(class_names):
        raise InputError(
            f"{source} has the label {largest}; expected 0 to {len(class_names) - 1}. Is it another data set?"
        )


def hold_out(split, share, seed):
    """(the rest, a seeded random `share` of `split`).

    At least LEAST_HELD_OUT images, or of few images a seventh, so that what they show is more than chance.
    """
    order = np.random.default_rng(seed).permutation(len(split.labels))
    count = max(round(share * len(order)), min(LEAST_HELD_OUT, len(order) // 7), 1)
    return split.take(np.sort(order[count:])), split.take(np.sort(order[:count]))


def load_named(name, data_dir):
    """((images, labels) of train and of test, where they came from)."""
    if name in ("fashion_mnist", "mnist") and data_dir:
        return idx.read_folder(Path(data_dir)), str(data_dir)
    if name == "fashion_mnist":
        return idx.find_fashion_mnist()
    if data_dir:
        raise InputError(
            f"{name} is read from Keras's own cache, so --data_dir {data_dir} cannot be used with it; "
            "for a folder or archive of pictures give its path as the dataset."
        )
    return load_with_keras(name), f"keras.datasets.{name}"


def load_with_keras(name):
    """Keras's loader checks the hash of what it downloads, and downloads again over a file cut short."""
    import keras

    try:
        parts = getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise InputError(f"{name} is not in Keras's cache and could not be downloaded: {error}.") from error
    return tuple((images.reshape(*images.shape[:3], -1), labels.reshape(-1)) for images, labels in parts)


def unknown_dataset(name):
    return (
        f"Unknown dataset {name!r}, and no folder or archive has that path.{did_you_mean(name, CLASS_NAMES)} "
        f"Known datasets: {', '.join(CLASS_NAMES)}, or the path of a folder or tar archive of pictures."
    )
