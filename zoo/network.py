"""Rows into Keras models.

Layer names that others may rely on: `images` (the input), `logits` (class scores, [N, K]), `probabilities` (their
softmax, always float32) and, in a network that ends in a class convolution, `class_maps` (scores at each position).
"""

import collections

import keras

from zoo import catalog
from zoo.rows import (
    CLASSES,
    Activation,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    GlobalAverage,
    MaxPool,
    shapes,
    sized,
)


def build(name, *, input_shape, num_classes, width=1.0, front=()):
    """The untrained network `name`: images uint8 [N, *input_shape] to probabilities float32 [N, num_classes].

    Args:
        name: a name of the catalog.
        input_shape: (height, width, channels) of the images.
        num_classes: how many classes there are.
        width: multiplies every number of filters and units; 1.0 is the source's network.
        front: Keras layers between the pixels, rescaled to 0..1, and the first row: a whitening or a contrast
            normalisation, fitted to the training images, that has to travel with the model.

    Raises:
        ValueError: for an unknown name (with the nearest one), or a shape or size that the network cannot have.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}.")
    if width <= 0:
        raise ValueError(f"width must be above 0, got {width}.")
    return from_rows(catalog.entry(name).rows, input_shape, num_classes, width, front, name)


def from_rows(rows, input_shape, num_classes, width=1.0, front=(), name=None):
    """The model that `rows` describe; the other arguments are those of `build`."""
    images = keras.Input(input_shape, dtype="uint8", name="images")
    x = keras.layers.Rescaling(1 / 255, name="rescale")(images)
    for prepared in front:
        x = prepared(x)
    table = sized(rows, num_classes, width)
    for row, shape, layer_name in zip(table, shapes(table, x.shape[1:]), layer_names(rows), strict=False):
        if isinstance(row, Dense) and len(shape) > 1:
            x = keras.layers.Flatten(name="flatten")(x)
        x = layer(row, layer_name)(x)
    probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(x)
    return keras.Model(images, probabilities, name=name)


def features(model):
    """A model from the same images to features float32 [N, D]: what the class scores are a linear function of.

    Before a class convolution they are averaged over all positions, since averaging its scores is the same thing.
    Shares the weights of `model`.
    """
    if "class_maps" in {layer.name for layer in model.layers}:
        x = model.get_layer("class_maps").input
        return keras.Model(model.input, keras.layers.GlobalAveragePooling2D(name="features", dtype="float32")(x))
    x = model.get_layer("logits").input
    return keras.Model(model.input, keras.layers.Activation("linear", name="features", dtype="float32")(x))


def layer_names(rows):
    """conv1, conv2, pool1, ... in the order of the rows; what gives class scores is named for it."""
    count = collections.Counter()
    names = []
    for at, row in enumerate(rows):
        kind = _KINDS[type(row)]
        count[kind] += 1
        names.append(f"{kind}{count[kind]}")
        if isinstance(row, Conv) and row.filters == CLASSES:
            names[at] = "class_maps"
    names[-1] = "logits"
    return names


def layer(row, name):
    """The one Keras layer of `row`."""
    match row:
        case Conv():
            return keras.layers.Conv2D(
                row.filters,
                row.kernel,
                row.stride,
                row.padding,
                activation=row.activation,
                use_bias=row.bias,
                kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out"),
                name=name,
            )
        case Dense():
            return keras.layers.Dense(
                row.units,
                activation=row.activation,
                kernel_initializer="he_normal" if row.activation else "glorot_uniform",
                name=name,
            )
        case MaxPool():
            return keras.layers.MaxPooling2D(row.size, row.stride, row.padding, name=name)
        case AveragePool():
            return keras.layers.AveragePooling2D(row.size, row.stride, row.padding, name=name)
        case GlobalAverage():
            return keras.layers.GlobalAveragePooling2D(name=name)
        case Dropout():
            return keras.layers.Dropout(row.rate, name=name)
        case Activation():
            return keras.layers.Activation(row.function, name=name)
        case BatchNorm():
            return keras.layers.BatchNormalization(name=name)
    raise TypeError(f"{row!r} is not a row of an architecture table.")


_KINDS = {
    Conv: "conv",
    Dense: "fc",
    MaxPool: "pool",
    AveragePool: "pool",
    GlobalAverage: "mean",
    Dropout: "dropout",
    Activation: "activation",
    BatchNorm: "norm",
}
