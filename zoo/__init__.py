"""Pooled and all-convolutional image networks as rows of data.

    model = zoo.build("all_cnn_c", input_shape=(28, 28, 1), num_classes=10)
    trained = zoo.load("all_cnn_c", weights="fashion_mnist")

What is in `HOMES` is fetched when first used, so that importing this package does not import Keras.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.cards import card
    from zoo.convolutional import convolutionize
    from zoo.network import build, features
    from zoo.trained import load

__all__ = ["build", "card", "convolutionize", "features", "load"]
HOMES = {
    "build": "zoo.network",
    "card": "zoo.cards",
    "convolutionize": "zoo.convolutional",
    "features": "zoo.network",
    "load": "zoo.trained",
}


def __getattr__(name):
    if name in HOMES:
        return getattr(importlib.import_module(HOMES[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")
