"""The layers that `zoo.build` was given as `front`, as JSON: without them a trained network is not what it was."""

import itertools

import keras

from zoo import catalog
from zoo.network import layer_names


def front_of(model, name):
    """JSON of the layers before the first row of `model`, which is `zoo.build(name, front=...)`.

    Trained weights are not in it, only what the layers were made with. Empty for networks that are no rows.
    """
    entry = catalog.entry(name)
    if not isinstance(entry, catalog.Table):
        return []
    first = layer_names(entry.rows)[0]
    after = itertools.dropwhile(lambda layer: layer.name != "rescale", model.layers)
    front = itertools.takewhile(lambda layer: layer.name not in (first, f"flatten_{first}"), list(after)[1:])
    return [keras.saving.serialize_keras_object(layer) for layer in front]


def front_from(configs):
    """New layers for `zoo.build`'s `front` from what `front_of` gave.

    Raises:
        ValueError: a layer is of a class that is neither Keras's nor known here.
    """
    try:
        return tuple(keras.saving.deserialize_keras_object(config) for config in configs)
    except TypeError as error:  # Keras's word for a class that it cannot find
        classes = ", ".join(config["class_name"] for config in configs)
        raise ValueError(
            f"Before its first row the network has {classes}, and not every one of these is a layer known here: "
            "expected Keras's own."
        ) from error
