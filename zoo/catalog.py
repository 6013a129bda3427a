"""Every network by name, with the shape and classes its source gives it, and its exact counts there."""

from typing import NamedTuple

from zoo import grammar, rows
from zoo.all_conv import ALL_CNN_B_IMAGENET, all_conv, convpool, strided
from zoo.backbones import BACKBONES
from zoo.pooled import (
    ALEXNET,
    BASE_A,
    BASE_B,
    BASE_C,
    CONV_CONV_POOL,
    CONV_POOL,
    LENET_5,
    LINEAR,
    ONE_CONV,
    VGG_11,
    VGG_16,
    VGG_19,
)
from zoo.spelling import did_you_mean
from zoo.sprint import AIRBENCH, SPRINT_ALL_CONV, SPRINT_POOL


class Table(NamedTuple):
    """A network that is a table of rows.

    `published` is what its source prints for its parameters at `input_shape` and `num_classes`.
    """

    family: str
    rows: tuple
    input_shape: tuple[int, int, int]
    num_classes: int
    published: str
    source: str

    def check(self, input_shape):
        """Raises the ValueError with which `build` would refuse these rows for such images; needs no Keras."""
        rows.check_end(self.rows)
        rows.shapes(rows.sized(self.rows, self.num_classes), input_shape)

    @property
    def parameters(self):
        return rows.parameters(rows.sized(self.rows, self.num_classes), self.input_shape)

    @property
    def multiply_adds(self):
        return rows.multiply_adds(rows.sized(self.rows, self.num_classes), self.input_shape)


class Built(NamedTuple):
    """A network that a function builds: `builder` is "module:function".

    The function takes the name, `input_shape=` and those of build's other keywords that mean something to it.
    `parameters` and `multiply_adds` are exact at `input_shape` and `num_classes`.
    """

    family: str
    builder: str
    input_shape: tuple[int, int, int]
    num_classes: int | None
    parameters: int
    multiply_adds: int
    source: str
    published: str = ""


CIFAR = ((32, 32, 3), 10)
IMAGENET = ((224, 224, 3), 1000)
NOTES = "CS231n notes"
PAPER = "arXiv 1412.6806"
VGG = "arXiv 1409.1556"

ENTRIES = {
    "linear": Table("lecture", LINEAR, *CIFAR, "", NOTES),
    "one_conv": Table("lecture", ONE_CONV, *CIFAR, "", NOTES),
    "conv_pool": Table("lecture", CONV_POOL, *CIFAR, "", NOTES),
    "conv_conv_pool": Table("lecture", CONV_CONV_POOL, *CIFAR, "", NOTES),
    "lenet_5": Table("lenet", LENET_5, (32, 32, 1), 10, "60,000", "LeCun 1998"),
    "alexnet": Table("alexnet", ALEXNET, (227, 227, 3), 1000, "60M", NOTES),
    "vgg_11": Table("vgg", VGG_11, *IMAGENET, "133M", VGG),
    "vgg_16": Table("vgg", VGG_16, *IMAGENET, "138M", VGG),
    "vgg_19": Table("vgg", VGG_19, *IMAGENET, "144M", VGG),
    "base_a": Table("all-cnn", BASE_A, *CIFAR, "0.9M", PAPER),
    "strided_cnn_a": Table("all-cnn", strided(BASE_A), *CIFAR, "0.9M", PAPER),
    "convpool_cnn_a": Table("all-cnn", convpool(BASE_A), *CIFAR, "1.28M", PAPER),
    "all_cnn_a": Table("all-cnn", all_conv(BASE_A), *CIFAR, "1.28M", PAPER),
    "base_b": Table("all-cnn", BASE_B, *CIFAR, "1M", PAPER),
    "strided_cnn_b": Table("all-cnn", strided(BASE_B), *CIFAR, "1M", PAPER),
    "convpool_cnn_b": Table("all-cnn", convpool(BASE_B), *CIFAR, "1.35M", PAPER),
    "all_cnn_b": Table("all-cnn", all_conv(BASE_B), *CIFAR, "1.35M", PAPER),
    "base_c": Table("all-cnn", BASE_C, *CIFAR, "1.3M", PAPER),
    "strided_cnn_c": Table("all-cnn", strided(BASE_C), *CIFAR, "1.3M", PAPER),
    "convpool_cnn_c": Table("all-cnn", convpool(BASE_C), *CIFAR, "1.4M", PAPER),
    "all_cnn_c": Table("all-cnn", all_conv(BASE_C), *CIFAR, "1.4M", PAPER),
    "all_cnn_b_imagenet": Table("all-cnn", ALL_CNN_B_IMAGENET, *IMAGENET, "<10M", PAPER),
    "airbench": Table("sprint", AIRBENCH, *CIFAR, "1.97M", "arXiv 2404.00498"),
    "sprint_pool": Table("sprint", SPRINT_POOL, *CIFAR, "", "zoo/sprint.py"),
    "sprint_all_conv": Table("sprint", SPRINT_ALL_CONV, *CIFAR, "", "zoo/sprint.py"),
    "conv_vae": Built(
        "generative", "zoo.generative:conv_vae", (28, 28, 1), None, 375_681, 23_162_496, "arXiv 1312.6114"
    ),
    "dcgan": Built(
        "generative", "zoo.generative:dcgan", (64, 64, 3), None, 15_429_700, 514_400_256, "arXiv 1511.06434"
    ),
    **{
        name: Built("pretrained", "zoo.pretrained:build", one.input_shape, 1000, *one.counts, "keras.applications")
        for name, one in BACKBONES.items()
    },
}


class UnknownModel(ValueError):
    """No network has this name."""


def entry(name):
    """The network called `name`, or the one a pattern stands for (on CIFAR's images).

    Raises:
        UnknownModel: with the nearest name and all names.
        grammar.PatternError: a pattern that is none.
    """
    if name in ENTRIES:
        return ENTRIES[name]
    if grammar.is_pattern(name):
        return Table("pattern", grammar.parse(name), *CIFAR, "", NOTES)
    raise UnknownModel(f"Unknown model {name!r}.{did_you_mean(name, ENTRIES)} Known models: {', '.join(ENTRIES)}.")
