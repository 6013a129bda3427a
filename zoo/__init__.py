"""Pooled and all-convolutional image networks as rows of data.

    model = zoo.build("all_cnn_c", input_shape=(28, 28, 1), num_classes=10)

What is in `HOMES` is fetched when first used, so that importing this package does not import Keras.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.convolutional import convolutionize
    from zoo.network import build, features

__all__ = ["build", "convolutionize", "features"]
HOMES = {"build": "zoo.network", "convolutionize": "zoo.convolutional", "features": "zoo.network"}


def __getattr__(name):
    if name in HOMES:
        return getattr(importlib.import_module(HOMES[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")
