import gzip

import numpy as np
import pytest
from PIL import Image


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(header + array.astype("uint8").tobytes())


@pytest.fixture(scope="session")
def write_idx():
    """Writes `count` random 28x28 training images and half as many test images as MNIST's four files."""

    def write(folder, count=8):
        random = np.random.default_rng(count)
        folder.mkdir(parents=True, exist_ok=True)
        for part, size in ("train", count), ("t10k", count // 2):
            images = random.integers(0, 256, (size, 28, 28))
            labels = np.arange(size) % 10
            (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(idx_bytes(images))
            (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx_bytes(labels))
        return folder

    return write


@pytest.fixture
def write_picture():
    """Writes a picture of one colour, size (width, height); the suffix of `path` chooses the format."""

    def write(path, colour=(200, 40, 10), size=(20, 20)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB" if isinstance(colour, tuple) else "L", size, colour).save(path)
        return path

    return write
