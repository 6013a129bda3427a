"""The network to fine-tune, of keras.applications or of the zoo's own, with the weights of an earlier training."""

import json
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

import zoo
from training.errors import InputError
from zoo import catalog, weight_files


class Plan(NamedTuple):
    """What `build` needs besides the number of classes; `stored` has the weights for one of the zoo's own networks."""

    name: str
    image_shape: tuple[int, int, int]
    width: float = 1.0
    weights: str | None = None
    stored: list | None = None


def plan(name, weights, *, image_size=None, width=1.0):
    """The Plan for the network `name` and its trained `weights`.

    Args:
        weights: "imagenet", a file of Keras weights, or for the zoo's own networks a version directory too.
        image_size: height and width of the images; by default those that the network was made or trained for.
        width: of the zoo's own networks; a version directory knows its own.

    Raises:
        InputError: there are no such weights, or they are another network's.
    """
    entry = catalog.entry(name)
    if not isinstance(entry, catalog.Table):
        size = image_size or entry.input_shape[0]
        return Plan(name, (size, size, entry.input_shape[-1]), weights=weights)
    if weights == "imagenet":
        raise InputError(
            f"{name} has no ImageNet weights. Give --weights a version directory of it, such as models/{name}/1, or a "
            ".weights.h5 of one of its trainings."
        )
    with in_a_sentence():
        if Path(weights).is_dir():
            shape, width, stored = read_version(name, Path(weights))
        else:
            shape, stored = read_file(name, weights, entry, width)
    shape = (image_size or shape[0], image_size or shape[1], shape[2])
    return Plan(name, shape, width=width, stored=stored)


def build(plan, num_classes):
    """The network of `plan` with its trained weights and an untrained head for `num_classes` classes.

    Raises:
        InputError: the weights do not fit it, with the first layer that differs, or cannot be got.
    """
    with in_a_sentence():
        model = zoo.build(
            plan.name,
            input_shape=plan.image_shape,
            num_classes=num_classes,
            width=plan.width,
            weights=plan.weights,
        )
        if plan.stored is not None:
            layers = weight_files.weighted(model.layers)
            weight_files.check(plan.stored, layers, f"The trained network is no {plan.name} as wide as asked", top=0)
            for layer, (_, arrays) in zip(layers[:-1], plan.stored, strict=False):
                weight_files.assign(layer, arrays)
    return model


class in_a_sentence:
    """What the zoo refuses is the user's to change."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if isinstance(error, ValueError) and not isinstance(error, InputError):
            raise InputError(str(error)) from error


def set_head(model, kernel, bias):
    """Gives `model` the class scores `features @ kernel + bias` of the features that `zoo.features` gives."""
    *_, head = weight_files.weighted(model.layers)
    head.set_weights([kernel.reshape(head.kernel.shape), bias])


def read_version(name, folder):
    """(image shape, width, [Stored]) of the exported model in `folder`."""
    card = folder / "model_card.json"
    if not card.is_file():
        raise InputError(f"{folder} has no model_card.json; expected a version directory, such as models/{name}/1.")
    network = json.loads(card.read_text("utf-8"))["model"]
    if network["name"] != name:
        raise InputError(f"{folder} holds a {network['name']}, not a {name}: give --backbone {network['name']}.")
    stored = {}
    for variable in tf.saved_model.load(folder).variables:
        layer = variable.name.rpartition("/")[0]
        arrays = stored.setdefault(layer, {})
        arrays.setdefault(variable.name, variable.numpy())  # each signature's model lists them again
    arrays = {layer: list(arrays.values()) for layer, arrays in stored.items() if "seed_generator" not in layer}
    return network["image_shape"], network["width"], [weight_files.Stored(*each) for each in arrays.items()]


def read_file(name, path, entry, width):
    """(image shape, [Stored]) of a file of Keras weights; how many channels the images have is the first kernel's."""
    model = zoo.build(name, input_shape=entry.input_shape, num_classes=entry.num_classes, width=width)
    stored = weight_files.read(path, model.layers)
    kernel = stored[0].arrays[0]
    channels = kernel.shape[2] if kernel.ndim == 4 else entry.input_shape[2]
    return (*entry.input_shape[:2], channels), stored
