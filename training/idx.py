"""The IDX files of MNIST and Fashion-MNIST: where they are looked for, and how they are read.

Format: http://yann.lecun.com/exdb/mnist/ ("THE IDX FILE FORMAT"): two zero bytes, a type byte (8 is unsigned byte),
the number of dimensions, each dimension as a big-endian int32, then the values.
"""

import contextlib
import gzip
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np

from training.errors import InputError

FILES = (
    ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
)
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # package dataset-fashion-mnist
FASHION_MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"  # what keras.datasets downloads


def find_fashion_mnist(*, debian_folder=DEBIAN_FOLDER, keras_folder=None, url=FASHION_MNIST_URL):
    """Debian's files, else those in Keras's cache, else downloaded into it: (the two parts, their folder).

    Raises:
        InputError: none of the three has them.
    """
    keras_folder = keras_folder or keras_cache() / "datasets" / "fashion-mnist"
    if has_files(debian_folder):
        return read_folder(debian_folder), str(debian_folder)
    if has_files(keras_folder):
        with contextlib.suppress(InputError):  # cut short by an interrupted download: fetch them again
            return read_folder(keras_folder), str(keras_folder)
    try:
        download(keras_folder, url)
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise InputError(
            f"Fashion-MNIST is neither in {debian_folder} nor in {keras_folder}, and could not be downloaded "
            f"({error}). On Debian or Ubuntu get it with: apt-get install dataset-fashion-mnist"
        ) from error
    return read_folder(keras_folder), str(keras_folder)


def keras_cache():
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))


def has_files(folder):
    return all((folder / name).is_file() for pair in FILES for name in pair)


def download(folder, url):
    """Fetches the four files into `folder`; each appears there whole or not at all."""
    import keras

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="download-") as scratch:
        for name in (name for pair in FILES for name in pair):
            path = keras.utils.get_file(name, origin=url + name, cache_dir=scratch, cache_subdir="")
            read(Path(path))
            os.replace(path, folder / name)


def read_folder(folder):
    """((train images, labels), (test images, labels)) of the four files in `folder`; images [N, H, W, 1].

    Raises:
        InputError: a file is missing, damaged, or does not belong to the others.
    """
    return tuple(read_part(folder / images, folder / labels) for images, labels in FILES)


def read_part(images_path, labels_path):
    images, labels = read(images_path), read(labels_path)
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise InputError(
            f"{images_path} holds an array of shape {images.shape} and {labels_path} one of shape {labels.shape}; "
            "expected images [N, height, width] and as many labels [N]."
        )
    return images[..., np.newaxis], labels


def read(path):
    """The uint8 array in the gzipped IDX file at `path`."""
    try:
        data = gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        names = ", ".join(name for pair in FILES for name in pair)
        raise InputError(f"{path} does not exist; its folder should hold {names}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is no whole gzip file ({error}); get it again.") from error
    header_bytes = 4 + 4 * (data[3] if len(data) > 3 else 0)
    shape = np.frombuffer(data[4:header_bytes], ">i4") if len(data) >= header_bytes else np.array([-1])
    if data[:3] != b"\0\0\x08" or len(data) != header_bytes + shape.prod(dtype="int64"):
        raise InputError(f"{path} is no IDX file of unsigned bytes, or is cut short; get it again.")
    return np.frombuffer(data, np.uint8, offset=header_bytes).reshape(shape)
