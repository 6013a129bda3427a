import dataclasses

import numpy as np
import pytest

from training import datasets
from training.datasets import Split
from training.errors import InputError


def test_named_dataset_is_uint8_images_int32_labels_and_names(tmp_path, write_idx):
    data = datasets.load("fashion_mnist", data_dir=write_idx(tmp_path))
    assert data.image_shape == (28, 28, 1) and data.num_classes == 10
    assert data.class_names[9] == "Ankle boot"
    assert data.train.images.dtype == np.uint8 and data.train.labels.dtype == np.int32
    assert (len(data.train.images), len(data.test.images)) == (8, 4)


def test_folder_is_a_dataset_named_after_it(tmp_path, write_picture):
    for name in ("cat", "dog"):
        for number in range(5):
            write_picture(tmp_path / "pets" / name / f"{number}.png")
    data = datasets.load(str(tmp_path / "pets"))
    assert (data.name, data.class_names) == ("pets", ("cat", "dog"))
    assert len(data.train.images) + len(data.test.images) == 10
    assert data.train.labels.dtype == np.int32


def test_digest_is_of_what_the_data_holds_and_not_of_where_it_is():
    images, labels = np.zeros((4, 2, 2, 1), np.uint8), np.array([0, 1, 0, 1], np.int32)
    data = datasets.Dataset("pets", ("cat", "dog"), Split(images[:3], labels[:3]), Split(images[3:], labels[3:]), "a")
    moved = dataclasses.replace(data, name="zoo", source="b", train=Split(images[:3].copy(), labels[:3]))
    assert moved.digest == data.digest
    others = [
        dataclasses.replace(data, class_names=("cat", "cow")),
        dataclasses.replace(data, train=Split(images[:3] + 1, labels[:3])),
        dataclasses.replace(data, test=Split(images[3:] + 1, labels[3:])),
        dataclasses.replace(data, train=Split(images[:3], labels[[1, 0, 2]])),
        dataclasses.replace(data, train=Split(images[:2], labels[:2]), test=Split(images[2:], labels[2:])),
    ]
    assert len({each.digest for each in [data, *others]}) == 6


@pytest.mark.parametrize("name, count", [("fashion_mnist", 10), ("mnist", 10), ("cifar10", 10), ("cifar100", 100)])
def test_class_names_are_as_many_as_the_classes(name, count):
    assert len(set(datasets.CLASS_NAMES[name])) == count


def test_unknown_name_gets_the_nearest_and_the_list():
    with pytest.raises(InputError, match="Did you mean 'fashion_mnist'.*cifar100"):
        datasets.load("fashon_mnist")


def test_data_dir_without_the_files_says_which_are_expected(tmp_path):
    with pytest.raises(InputError, match="t10k-images-idx3-ubyte.gz"):
        datasets.load("fashion_mnist", data_dir=tmp_path)


def test_data_dir_is_refused_for_what_keras_reads(tmp_path):
    with pytest.raises(InputError, match="--data_dir"):
        datasets.load("cifar10", data_dir=tmp_path)


@pytest.mark.parametrize("count, held_out", [(60_000, 1_200), (2_000, 100), (140, 20), (3, 1)])
def test_held_out_images_are_a_share_and_no_fewer_than_a_hundred_or_a_seventh(count, held_out):
    split = datasets.Split(np.zeros((count, 1, 1, 1), np.uint8), np.arange(count, dtype=np.int32))
    rest, held = datasets.hold_out(split, 0.02, seed=0)
    assert len(held.labels) == held_out
    assert sorted([*rest.labels, *held.labels]) == [*range(count)]
