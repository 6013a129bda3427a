"""The network to fine-tune, of keras.applications or of the zoo's own, with the weights of an earlier training."""

import contextlib
from pathlib import Path
from typing import NamedTuple

import keras

import training.inputs  # noqa: F401  a layer of it may be in a network's front
import zoo
from training.artifact import load, read_card, version_directory, weights_of
from training.errors import InputError
from zoo import cards, catalog, trained, weight_files
from zoo.front import front_from


class Plan(NamedTuple):
    """What `build` needs besides the number of classes.

    Of the zoo's own networks `stored` is what `weights` hold, and `front` the layers before the first row, as JSON.
    """

    name: str
    image_shape: tuple[int, int, int]
    weights: str
    width: float = 1.0
    stored: list | None = None
    front: list | tuple = ()


def plan(name, weights, *, image_size=None, width=1.0):
    """The Plan for the network `name` and its trained `weights`.

    Args:
        weights: "imagenet", a file of Keras weights, or for the zoo's own networks a version directory too, or the
            dataset of weights that the zoo ships.
        image_size: height and width of the images; by default those that the network was made or trained for.
        width: of the zoo's own networks; a version directory knows its own.

    Raises:
        InputError: there are no such weights, or they are another network's.
    """
    entry = catalog.entry(name)
    if entry.family == "generative":
        raise InputError(f"{name} is a generative network, without classes; python -m zoo list shows those that have.")
    if not isinstance(entry, catalog.Table):
        size = image_size or entry.input_shape[0]
        return Plan(name, (size, size, entry.input_shape[-1]), weights)
    with in_a_sentence():
        network, stored = read(name, weights, entry, width)
    shape = network["image_shape"]
    shape = (image_size or shape[0], image_size or shape[1], shape[2])
    return Plan(name, shape, weights, network["width"], stored, network["front"])


def read(name, weights, entry, width):
    """(what a card says of the network, [Stored]) of one of the zoo's own networks."""
    shipped = cards.shipped().get(name, [])
    if weights in shipped:
        return cards.card(name, weights=weights)["model"], trained.read(name, weights)
    if weights == "imagenet":
        ours = f"{', '.join(shipped)} (the zoo's own), " if shipped else ""
        raise InputError(
            f"{name} has no ImageNet weights. Give --weights {ours}a version directory of it, such as models/{name}/1, "
            "or a .weights.h5 of one of its trainings."
        )
    if not Path(weights).exists() and not weights.endswith(".h5"):
        ours = ", ".join(shipped) if shipped else "no dataset"
        raise InputError(
            f"{name} is shipped trained on {ours}, and there is no file or version directory {weights}. Give what one "
            "of its trainings left, or another --backbone; python -m zoo list shows what is shipped."
        )
    if Path(weights).is_dir():
        return read_version(name, Path(weights))
    return read_file(name, weights, entry, width)


def build(plan, num_classes):
    """The network of `plan` with its trained weights and an untrained head for `num_classes` classes.

    Of the zoo's own networks without dropout: their rates are for hundreds of epochs of the paper's recipe, and what
    few epochs on few pictures could gain is lost to it.

    Raises:
        InputError: the weights do not fit it, with the first layer that differs, or cannot be got.
    """
    name, image_shape, weights, width, stored, front = plan
    arguments = {"input_shape": image_shape, "num_classes": num_classes, "width": width}
    with in_a_sentence():
        if stored is None:
            return zoo.build(name, weights=weights, **arguments)
        model = zoo.build(name, front=front_from(front), **arguments)
        layers = weight_files.weighted(model.layers)
        weight_files.check(stored, layers, f"{weights} does not fit {name} at --width {width:g}", top=0)
    for layer, (_, arrays) in zip(layers[:-1], stored, strict=False):
        weight_files.assign(layer, arrays)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return model


@contextlib.contextmanager
def in_a_sentence():
    """What the zoo refuses is the user's to change."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from error


def set_head(model, kernel, bias):
    """Gives `model` the class scores `features @ kernel + bias` of the features that `zoo.features` gives."""
    *_, head = weight_files.weighted(model.layers)
    head.set_weights([kernel.reshape(head.kernel.shape), bias])


def read_version(name, folder):
    """(what its card says of the network, [Stored]) of the exported model in `folder`."""
    folder = version_directory(folder)
    card = folder / "model_card.json"
    if not card.is_file():
        raise InputError(f"{folder} has no model_card.json; expected a version directory, such as models/{name}/1.")
    network = {"front": [], **read_card(card)["model"]}
    if network["name"] != name:
        raise InputError(f"{folder} holds {network['name']}, not {name}: give --backbone {network['name']}.")
    return network, weight_files.by_layer(weights_of(load(folder)))


def read_file(name, path, entry, width):
    """(what a card would say, [Stored]) of a file of Keras weights; the first kernel tells the images' channels."""
    model = zoo.build(name, input_shape=entry.input_shape, num_classes=entry.num_classes, width=width)
    stored = weight_files.read(path, model.layers)
    kernel = stored[0].arrays[0]
    channels = kernel.shape[2] if kernel.ndim == 4 else entry.input_shape[2]
    return {"image_shape": [*entry.input_shape[:2], channels], "width": width, "front": []}, stored
