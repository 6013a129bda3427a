"""Networks with the weights that the zoo ships.

model = zoo.load("all_cnn_c", weights="fashion_mnist")
class_names = zoo.card("all_cnn_c", weights="fashion_mnist")["class_names"]
"""

import numpy as np

from zoo import cards, weight_files
from zoo.front import front_from
from zoo.network import build


def load(name, *, weights, folder=cards.FOLDER):
    """The trained network `name`: images uint8 [N, H, W, C] to probabilities float32 [N, K].

    Args:
        name: a name of the catalog.
        weights: the dataset that it was trained on; `python -m zoo list` shows which there are.
        folder: of the weights and their cards; by default the zoo's own.

    Raises:
        ValueError: there are no such weights, with the nearest name and all names.
    """
    model = untrained(cards.card(name, weights=weights, folder=folder))
    layers, stored = weight_files.weighted(model.layers), read(name, weights, folder)
    weight_files.check(stored, layers, f"The zoo's {weights} does not fit {name}", top=0)
    for layer, (_, arrays) in zip(layers, stored, strict=True):
        weight_files.assign(layer, arrays)
    return model


def untrained(card):
    """The network of a card, with random weights."""
    network = card["model"]
    return build(
        network["name"],
        input_shape=tuple(network["image_shape"]),
        num_classes=len(card["class_names"]),
        width=network["width"],
        front=front_from(network["front"]),
    )


def read(name, weights, folder=cards.FOLDER):
    """[weight_files.Stored] of the shipped `weights` of `name`, as float32."""
    path, _ = cards.paths(name, weights, folder)
    with np.load(path) as file:
        return weight_files.by_layer({key: file[key].astype("float32") for key in file.files})
