"""What each layer of a Keras model costs for one image, from shapes alone.

A multiply-add is one multiplication in a kernel with the addition that follows it; pooling, normalisation and
activations count none. A layer of a class that is unknown here may say in an attribute `multiply_adds` what it costs.
Source: the CS231n notes, https://cs231n.github.io/convolutional-networks/.
"""

import collections
import math
from typing import NamedTuple

import keras
import numpy as np

from zoo import graph, windows
from zoo.kinds import CONVOLUTIONS, DENSE, GLOBAL_POOLS, POINTWISE, POOLS, TRANSPOSED, VIEWS, kind

BIASES = {"bias", "beta"}
STATISTICS = {"moving_mean", "moving_variance", "mean", "variance", "count"}
TOTALS = ("weights", "biases", "statistics", "parameters", "multiply_adds", "activation_bytes")


class LayerAccount(NamedTuple):
    """One use of one layer, for one image; a second use of the same layer counts no parameters again.

    `statistics` are parameters kept but not trained, such as moving means. `activation_bytes` is what inference must
    keep of the output: nothing where a layer can write over its input or shows it in another shape. `as_dense` and
    `unshared` are the weights and biases of the same mapping as a fully connected layer, and with a kernel of its own
    at each place. None stands for what an unknown layer hides, or what there is not: a ReLU has no window.
    """

    name: str
    kind: str
    known: bool
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weights: int
    biases: int
    statistics: int
    multiply_adds: int | None
    activation_bytes: int
    receptive_field: tuple | None
    jump: tuple | None
    window: windows.Window | None
    as_dense: int | None
    unshared: int | None

    @property
    def parameters(self):
        return self.weights + self.biases + self.statistics


class Account(NamedTuple):
    """Every layer of a model in the order of use."""

    name: str
    layers: tuple[LayerAccount, ...]

    @property
    def unknown(self):
        """The layers of which only shapes and parameters are known; the totals lack their multiply-adds."""
        return tuple(layer for layer in self.layers if not layer.known)

    def total(self, what):
        """The sum of the layers' `what`, one of TOTALS."""
        return sum(getattr(layer, what) or 0 for layer in self.layers)

    def as_dict(self):
        """The whole account in types that JSON has."""
        return {
            "name": self.name,
            "layers": [_layer_dict(layer) for layer in self.layers],
            "totals": {what: self.total(what) for what in TOTALS},
            "unknown": [layer.name for layer in self.unknown],
        }


def account(model, *, input_shape=None):
    """The Account of a functional or sequential Keras model, those nested in it included.

    Args:
        model: any such model, built. A subclassed one inside it is one unknown layer: nobody can see its graph.
        input_shape: for a model that takes images of any size, the shape to count for, without the batch.

    Raises:
        ValueError: for a subclassed or unbuilt model, and where the size is missing or not the model's.
    """
    if not graph.is_graph(model):
        raise ValueError(
            f"Model {model.name!r} is a {type(model).__name__} without a graph of layers to count: "
            "expected a functional model, or a sequential one that has been built."
        )
    names = {id(op.output): op.name for op in keras.Function(model.inputs, model.outputs).operations}
    inputs = [keras.KerasTensor(shape, x.dtype, name=names[id(x)]) for shape, x in _sized(model, input_shape)]
    uses = _follow(model, inputs)
    readers = collections.Counter(id(x) for use in uses for x in use.given)
    counted = set()
    return Account(model.name, tuple(_layer_account(use, readers, counted) for use in uses))


def _sized(model, input_shape):
    """(shape with the batch, Keras tensor) of each input of `model`."""
    if input_shape is None:
        shapes = [x.shape for x in model.inputs]
    else:
        wanted = model.inputs[0].shape
        fits = len(model.inputs) == 1 and len(wanted) == len(input_shape) + 1
        if not fits or any(want not in (None, size) for want, size in zip(wanted[1:], input_shape, strict=True)):
            raise ValueError(
                f"Model {model.name!r} takes {[x.shape[1:] for x in model.inputs]}, and input_shape is {input_shape}."
            )
        shapes = [(wanted[0], *input_shape)]
    if any(None in shape[1:] for shape in shapes):
        raise ValueError(
            f"Model {model.name!r} takes images of any size, {shapes[0][1:]}: "
            "say which size to count for, as in input_shape=(224, 224, 3)."
        )
    return zip(shapes, model.inputs, strict=True)


class _Use(NamedTuple):
    name: str
    op: keras.Operation | None
    given: tuple
    gives: tuple
    window: windows.Window | None
    sight: windows.Sight | None


def _follow(model, inputs):
    """Every _Use of a layer on the way of `inputs` through the graph of `model`."""
    uses = [_Use(x.name, None, (), (x,), None, windows.image_sight(x.shape)) for x in inputs]
    sights = {id(use.gives[0]): use.sight for use in uses}  # `uses` keeps the tensors, and so their ids, alive

    def call(name, op, args, kwargs):
        given = tuple(x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor))
        gives = tuple(keras.tree.flatten(op.compute_output_spec(*args, **kwargs)))
        window = windows.window(op, given[0].shape, gives[0].shape)
        sight = windows.sight(op, window, [x.shape for x in given], gives[0].shape, [sights[id(x)] for x in given])
        uses.append(_Use(name, op, given, gives, window, sight))
        sights.update({id(x): sight for x in gives})
        return gives

    graph.walk(model, inputs, call)
    return uses


def _layer_account(use, readers, counted):
    op, gives = use.op, use.gives[0].shape[1:]
    given = use.given[0].shape[1:] if use.given else gives
    what = kind(op) if op else "InputLayer"
    fresh = op is not None and id(op) not in counted
    counted.add(id(op))
    weights, biases, statistics = _parameters(op) if fresh else (0, 0, 0)
    multiply_adds, as_dense, unshared = _multiply_adds(op, what, given, gives) if op else (0, None, None)
    return LayerAccount(
        name=use.name,
        kind=type(op).__name__ if op else "InputLayer",
        known=what is not None or multiply_adds is not None,
        input_shape=given,
        output_shape=gives,
        weights=weights,
        biases=biases,
        statistics=statistics,
        multiply_adds=multiply_adds,
        activation_bytes=0 if _in_place(use, what, readers) else sum(map(_bytes, use.gives)),
        receptive_field=use.sight and _whole(use.sight.field),
        jump=use.sight and _whole(use.sight.jump),
        window=use.window,
        as_dense=as_dense,
        unshared=unshared,
    )


def _parameters(op):
    """(weights, biases, statistics) of a layer; an operation that is no layer has none."""
    sizes = collections.Counter()
    for variable in getattr(op, "weights", ()):
        group = "biases" if variable.name in BIASES else "statistics" if variable.name in STATISTICS else "weights"
        sizes[group] += math.prod(variable.shape)
    return sizes["weights"], sizes["biases"], sizes["statistics"]


def _multiply_adds(op, what, given, gives):
    """(multiply-adds, parameters as a fully connected layer, parameters unshared) from shapes without the batch."""
    if what is None:
        return getattr(op, "multiply_adds", None), None, None
    if what not in CONVOLUTIONS | TRANSPOSED | DENSE | POOLS | GLOBAL_POOLS:
        return 0, None, None
    biases = math.prod(gives) if getattr(op, "use_bias", False) else 0
    as_dense = math.prod(given) * math.prod(gives) + biases
    if what in POOLS | GLOBAL_POOLS:
        return 0, as_dense, None
    kernels = sum(math.prod(variable.shape) for variable in op.weights if len(variable.shape) > 1)
    places = math.prod(windows.spatial(op, (None, *(given if what in TRANSPOSED else gives))))
    return places * kernels, as_dense, places * kernels + biases


def _in_place(use, what, readers):
    if what in VIEWS:
        return True
    if what not in POINTWISE:
        return False
    return readers[id(use.given[0])] == 1 and _bytes(use.given[0]) == _bytes(use.gives[0])


def _bytes(x):
    return math.prod(x.shape[1:]) * np.dtype(x.dtype).itemsize


def _whole(numbers):
    """Fractions as integers where they are, else as floats."""
    return tuple(int(x) if x == int(x) else float(x) for x in numbers)


def _layer_dict(layer):
    window = layer.window and layer.window._asdict()
    return {**layer._asdict(), "parameters": layer.parameters, "window": window}
