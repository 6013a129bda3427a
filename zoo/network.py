"""Rows into Keras models.

Layer names that others may rely on: `images` (the input), `logits` (class scores, [N, K]), `probabilities` (their
softmax, always float32) and, in a network that ends in a class convolution, `class_maps` (scores at each position).
"""

import collections
import functools
import importlib
import inspect
import numbers

import keras

from zoo import catalog
from zoo.rows import (
    Activation,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    GlobalAverage,
    MaxPool,
    check_end,
    ends_in_class_maps,
    shapes,
    sized,
)

L = keras.layers
KEYWORDS = {"num_classes": None, "width": 1.0, "weights": None, "front": ()}  # of build, for some networks, if given


def build(name, *, input_shape, num_classes=None, width=1.0, weights=None, front=()):
    """The network `name`: images uint8 [N, *input_shape] to probabilities float32 [N, num_classes].

    Args:
        name: a name of the catalog, or a pattern that `zoo.grammar` reads.
        input_shape: (height, width, channels) of the images.
        num_classes: how many classes there are; for classifiers.
        width: multiplies every number of filters and units; 1.0 is the source's network.
        weights: for networks with trained weights: which; None starts from random ones.
        front: Keras layers between the pixels, rescaled to 0..1, and the first row: a whitening or a contrast
            normalisation, fitted to the training images, that has to travel with the model.

    Raises:
        ValueError: an unknown name (with the nearest one), a bad pattern (with the place), a shape that does not fit
            (with the row at fault), or a keyword that this network has no use for.
    """
    if len(input_shape) != 3 or not all(isinstance(size, numbers.Integral) and size > 0 for size in input_shape):
        raise ValueError(f"input_shape must be (height, width, channels), such as (32, 32, 3), got {input_shape}.")
    name, function = _function(name)
    takes = inspect.signature(function).parameters
    keywords = {"num_classes": num_classes, "width": width, "weights": weights, "front": front}
    given = {keyword: value for keyword, value in keywords.items() if value != KEYWORDS[keyword]}
    for keyword in given:
        if keyword not in takes:
            raise ValueError(f"{name} takes no {keyword}, only {', '.join(k for k in KEYWORDS if k in takes)}.")
    if "num_classes" in takes and num_classes is None:
        raise ValueError(f"{name} needs num_classes, the number of classes.")
    return function(name, input_shape=input_shape, **given)


def _function(name):
    """What builds `name`, and the name for the model."""
    entry = catalog.entry(name)
    if isinstance(entry, catalog.Table):
        return "pattern" if entry.family == "pattern" else name, functools.partial(from_rows, entry.rows)
    module, _, function = entry.builder.partition(":")
    return name, getattr(importlib.import_module(module), function)


def from_rows(rows, name, *, input_shape, num_classes, width=1.0, front=()):
    """The model that `rows` describe; the other arguments are those of `build`."""
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}.")
    if width <= 0:
        raise ValueError(f"width must be above 0, got {width}.")
    check_end(rows)
    images = keras.Input(input_shape, dtype="uint8", name="images")
    x = L.Rescaling(1 / 255, name="rescale")(images)
    for prepare in front:
        x = prepare(x)
    table = sized(rows, num_classes, width)
    for row, shape, layer_name in zip(table, shapes(table, x.shape[1:]), layer_names(rows), strict=False):
        if isinstance(row, Dense) and len(shape) > 1:
            x = L.Flatten(name=f"flatten_{layer_name}")(x)
        x = layer(row, layer_name)(x)
    probabilities = L.Softmax(name="probabilities", dtype="float32")(x)
    return keras.Model(images, probabilities, name=name)


def features(model):
    """A model from the same images to features float32 [N, D]: what the class scores are a linear function of.

    Before a class convolution they are averaged over all positions, since averaging its scores is the same thing.
    Shares the weights of `model`.
    """
    if "class_maps" in {layer.name for layer in model.layers}:
        x = model.get_layer("class_maps").input
        return keras.Model(model.input, L.GlobalAveragePooling2D(name="features", dtype="float32")(x))
    x = model.get_layer("logits").input
    return keras.Model(model.input, L.Activation("linear", name="features", dtype="float32")(x))


def layer_names(rows):
    """conv1, conv2, pool1, ... in the order of the rows; what gives class scores is named for it."""
    count = collections.Counter()
    names = []
    for row in rows:
        count[KINDS[type(row)]] += 1
        names.append(f"{KINDS[type(row)]}{count[KINDS[type(row)]]}")
    return [*names[:-2], "class_maps", "logits"] if ends_in_class_maps(rows) else [*names[:-1], "logits"]


def layer(row, name):
    """The one Keras layer of `row`; weights start He-normal."""
    match row:
        case Conv():
            he = keras.initializers.VarianceScaling(2.0, "fan_out")
            window = {"kernel_size": row.kernel, "strides": row.stride, "padding": row.padding}
            return L.Conv2D(
                row.filters, **window, activation=row.activation, use_bias=row.bias, kernel_initializer=he, name=name
            )
        case Dense():
            return L.Dense(row.units, row.activation, kernel_initializer="he_normal", name=name)
        case MaxPool():
            return L.MaxPooling2D(row.size, row.stride, row.padding, name=name)
        case AveragePool():
            return L.AveragePooling2D(row.size, row.stride, row.padding, name=name)
        case GlobalAverage():
            return L.GlobalAveragePooling2D(name=name)
        case Dropout():
            return L.Dropout(row.rate, name=name)
        case Activation():
            return L.Activation(row.function, name=name)
        case BatchNorm():
            # Keras's own momentum, 0.99, lags hundreds of steps behind: more than a short training's last epoch
            return L.BatchNormalization(momentum=0.9, scale=row.scale, name=name)
    raise TypeError(f"{row!r} is not a row of an architecture table.")


KINDS = {
    Conv: "conv",
    Dense: "fc",
    MaxPool: "pool",
    AveragePool: "pool",
    GlobalAverage: "mean",
    Dropout: "dropout",
    Activation: "activation",
    BatchNorm: "norm",
}
