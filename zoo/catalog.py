"""Every network by name: its rows, the shape and classes its source gives it, and its exact parameter count there."""

import difflib
from typing import NamedTuple

from zoo.all_conv import all_conv, convpool, strided
from zoo.pooled import BASE_C


class Entry(NamedTuple):
    """One network.

    `parameters` is the exact count, moving statistics included, at `input_shape` and `num_classes`; `published` is
    what the source prints, word for word. A network that is no table of rows has, instead of `rows`, the
    "module:function" that builds it with `build`'s own keywords.
    """

    family: str
    rows: tuple
    input_shape: tuple[int, int, int]
    num_classes: int
    parameters: int
    published: str
    source: str
    builder: str = ""


CIFAR = ((32, 32, 3), 10)
SPRINGENBERG = "arXiv 1412.6806"

ENTRIES = {
    "base_c": Entry("springenberg", BASE_C, *CIFAR, 954_730, "1.3M", SPRINGENBERG),
    "strided_cnn_c": Entry("springenberg", strided(BASE_C), *CIFAR, 954_730, "1.3M", SPRINGENBERG),
    "convpool_cnn_c": Entry("springenberg", convpool(BASE_C), *CIFAR, 1_369_738, "1.4M", SPRINGENBERG),
    "all_cnn_c": Entry("springenberg", all_conv(BASE_C), *CIFAR, 1_369_738, "1.4M", SPRINGENBERG),
}


class UnknownModel(ValueError):
    """No network has this name."""


def entry(name):
    """The network called `name`.

    Raises:
        UnknownModel: with the nearest name and all names.
    """
    if name in ENTRIES:
        return ENTRIES[name]
    close = difflib.get_close_matches(name, ENTRIES, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UnknownModel(f"Unknown model {name!r}.{hint} Known models: {', '.join(ENTRIES)}.")
