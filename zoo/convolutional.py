"""Fully connected layers are convolutions: a classifier that slides over larger images in one pass.

A Dense layer on a flattened 7x7x512 map is a 7x7 VALID convolution, and a global average over a 7x7 map is a 7x7
average pooling of stride 1. Source: https://cs231n.github.io/convolutional-networks/#convert.
"""

import dataclasses

import keras

from zoo import graph
from zoo.kinds import DENSE, GLOBAL_POOLS, MERGES, POINTWISE, RESHAPES, VIEWS, kind


def convolutionize(model):
    """The classifier `model` as a network that slides: images [N, H, W, C] to class maps float32 [N, h, w, K].

    Images have any size from the training size up. At each of the h x w places stands what `model` gives (its
    probabilities over the K classes, where it ends in a softmax) for the window of the training size there; an image
    of the training size has one place, and that is `model`'s own output. Places are as far apart as the strides
    multiply to: with VGG-16's 32 pixels, 224x224 gives 1x1 and 384x384 gives 6x6.

    Where convolutions pad, what is padded is the whole image and not each window, so a place differs a little from
    `model` on that crop of the image. Without padding the two are equal.

    Nothing is copied: both models share every variable, and training one trains the other.

    Raises:
        ValueError: naming the layer, where the answer is no sliding window's: maps scaled by their global averages,
            weights for every place of a map, layers of unknown kind.
    """
    refusal = f"Model {model.name!r} cannot slide over larger images:"
    if not graph.is_graph(model) or [len(x.shape) for x in model.inputs] != [4]:
        raise ValueError(f"{refusal} expected a graph of layers with one input, images [N, H, W, C].")
    (trained,) = model.inputs
    if None in trained.shape[1:]:
        raise ValueError(f"{refusal} it takes any size already, {trained.shape[1:]}. Build it with its training size.")

    def slide(name, op, args, kwargs):
        given = [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, _Sliding)]
        gives = _call(op.compute_output_spec, "trained", args, kwargs)
        reason = _obstacle(op, given, gives)
        if reason:
            raise ValueError(f"{refusal} its layer {name!r} ({type(op).__name__}) {reason}.")
        layer = _layer(op, given[0])
        x = _call(op, "x", args, kwargs) if layer is op else layer(given[0].x)
        return _Sliding(x, gives, _window(op, given[0], gives))

    images = keras.Input((None, None, trained.shape[-1]), dtype=trained.dtype, name="images")
    outputs = graph.walk(model, [_Sliding(images, trained, None)], slide)
    if [output.window for output in outputs] != [(1, 1)]:
        raise ValueError(f"{refusal} expected one output, scores [N, K], and it gives {model.output_shape}.")
    return keras.Model(images, keras.layers.Identity(dtype="float32")(outputs[0].x), name=f"{model.name}_sliding")


@dataclasses.dataclass(frozen=True)
class _Sliding:
    """A tensor of the model and what stands for it: `x` [N, h, w, C] on images of any size.

    `trained` is the model's own tensor, of its training size. `window` is None for a map and, for a vector, (height,
    width) of the part of `x` that it stands for: (1, 1), or more from a Flatten to the Dense after it.
    """

    x: keras.KerasTensor
    trained: keras.KerasTensor
    window: tuple[int, int] | None


def _call(call, what, args, kwargs):
    args, kwargs = keras.tree.map_structure(
        lambda x: getattr(x, what) if isinstance(x, _Sliding) else x, (args, kwargs)
    )
    return call(*args, **kwargs)


def _obstacle(op, given, gives):
    """Why `op` cannot slide, in words that follow its name; None where it can."""
    what, shapes = kind(op), [one.trained.shape for one in given]
    flattened = given[0].window not in (None, (1, 1))
    if what is None:
        return "is of a kind that may look beyond its window"
    if what in MERGES and len({shape[1:-1] for shape in shapes}) > 1:
        return f"joins maps of different sizes, {' and '.join(str(shape[1:]) for shape in shapes)}"
    if what in RESHAPES and gives.shape[1:-1] not in ((), (1, 1)):
        return f"makes a map out of a vector, {shapes[0][1:]} to {gives.shape[1:]}"
    if what in MERGES | POINTWISE and not _last_axis_only(op, len(gives.shape)):
        return "works along another axis than the channels"
    if what in POINTWISE and any(len(variable.shape) > 1 for variable in getattr(op, "weights", ())):
        return "has weights for every place of its map"
    if flattened and what not in DENSE | VIEWS and not _pointwise_anywhere(op):
        return "works on a whole flattened map"
    return None


def _last_axis_only(op, rank):
    axis = getattr(op, "axis", -1)
    axes = axis if isinstance(axis, tuple | list) else () if axis is None else (axis,)
    return {axis % rank for axis in axes} <= {rank - 1}


def _pointwise_anywhere(op):
    """Whether `op` treats every number alike, wherever it stands."""
    softmax = kind(op) == "Softmax" or getattr(op, "activation", None) is keras.activations.softmax
    return kind(op) in POINTWISE and not getattr(op, "weights", ()) and not softmax


def _layer(op, given):
    """What stands for `op` in a network that slides."""
    what = kind(op)
    if what in GLOBAL_POOLS:
        pooling = keras.layers.AveragePooling2D if "Average" in what else keras.layers.MaxPooling2D
        return pooling(given.trained.shape[1:3], strides=1, dtype=op.dtype_policy.name)
    if what in RESHAPES:
        return lambda x: x
    if what in DENSE and given.window:
        return ConvolvedDense(op, given.window)
    if what in POINTWISE and given.window and getattr(op, "weights", ()):
        return PerPlace(op)
    return op


def _window(op, given, gives):
    """The `window` of what `op` gives."""
    if len(gives.shape) > 2:
        return None
    if kind(op) in RESHAPES:
        return given.window or given.trained.shape[1:3]
    return (1, 1) if kind(op) in DENSE | GLOBAL_POOLS else given.window


@keras.saving.register_keras_serializable("convzoo")
class ConvolvedDense(keras.layers.Layer):
    """The VALID convolution that a Dense layer on a flattened map is, with that layer's own weights.

    [N, H, W, C] to [N, H - h + 1, W - w + 1, units], for a `dense` on flattened maps [h, w, C] = `window` and C.
    """

    strides, padding = (1, 1), "valid"

    def __init__(self, dense, window, **kwargs):
        super().__init__(**{"name": f"{dense.name}_convolved", "dtype": dense.dtype_policy.name, **kwargs})
        self.dense = dense
        self.kernel_size = tuple(window)
        self.use_bias = dense.use_bias

    def build(self, input_shape):
        height, width = self.kernel_size
        if not self.dense.built:
            self.dense.build((None, height * width * input_shape[-1]))

    def call(self, x):
        kernel = keras.ops.reshape(self.dense.kernel, (*self.kernel_size, x.shape[-1], self.dense.units))
        x = keras.ops.conv(x, kernel, padding="valid")
        return self.dense.activation(x + self.dense.bias if self.use_bias else x)

    def get_config(self):
        dense = keras.saving.serialize_keras_object(self.dense)
        return {**super().get_config(), "dense": dense, "window": self.kernel_size}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "dense": keras.saving.deserialize_keras_object(config["dense"])})


@keras.saving.register_keras_serializable("convzoo")
class PerPlace(keras.layers.Wrapper):
    """A layer made for vectors [N, C], such as a normalisation, at each place of a map [N, h, w, C]."""

    def build(self, input_shape):
        super().build((None, input_shape[-1]))

    def call(self, x):
        vectors = self.layer(keras.ops.reshape(x, (-1, x.shape[-1])))
        return keras.ops.reshape(vectors, keras.ops.shape(x))

    def compute_output_shape(self, input_shape):
        return input_shape
