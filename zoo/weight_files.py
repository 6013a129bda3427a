"""Files of Keras weights, read layer by layer and compared with an architecture before any of it is used."""

import itertools
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from keras.src.utils.naming import to_snake_case  # the groups of a ".weights.h5" have no other description


class Stored(NamedTuple):
    """What a file holds for one layer, under the name that it has there."""

    name: str
    arrays: list[np.ndarray]


def weighted(layers):
    """Those of `layers` that have weights."""
    return [layer for layer in layers if layer.weights]


def by_layer(arrays):
    """[Stored] of {path of a weight, as Keras gives it: array}, in the order of the paths."""
    layers = {}
    for path, array in arrays.items():
        layers.setdefault(path.partition("/")[0], []).append(array)
    return [Stored(*each) for each in layers.items()]


def read(path, layers):
    """[Stored] of the file at `path`, in the order of the layers of `layers` that have weights.

    The list ends where the file has nothing for the next layer; layers that only the file has are at its end.

    Args:
        path: a ".weights.h5" of Keras 3, or an ".h5" as Keras wrote before, of weights or of a whole model.
        layers: all layers of the architecture in its order: files of Keras 3 have no names but by class and count.

    Raises:
        ValueError: when there is no such file, or it holds no Keras weights.
    """
    if Path(path).is_dir():
        raise ValueError(f"{path} is a folder; expected a file of Keras weights.")
    if not Path(path).is_file():
        raise ValueError(f"There is no weights file {path}.")
    try:
        file = h5py.File(path)
    except OSError as error:
        raise ValueError(f"{path} is not an HDF5 file, as Keras's weights are: {error}.") from error
    with file:
        group = file["model_weights"] if "model_weights" in file else file
        if names := _names(group, "layer_names"):
            return _read_legacy(group, names)
        if "layers" in group:
            return _read_keras_3(group["layers"], layers)
        raise ValueError(f"{path} holds no Keras weights, only {', '.join(group) or 'nothing'}.")


def _read_legacy(group, names):
    stored = [Stored(name, [group[name][key][()] for key in _names(group[name], "weight_names")]) for name in names]
    return [layer for layer in stored if layer.arrays]


def _names(group, attribute):
    """A list of names, which Keras cuts into `attribute`0, `attribute`1, ... where it passes HDF5's 64 kB."""
    numbered = (f"{attribute}{at}" for at in itertools.count())
    parts = [attribute] if attribute in group.attrs else itertools.takewhile(group.attrs.__contains__, numbered)
    names = [name for part in parts for name in group.attrs[part]]
    return [name.decode() if isinstance(name, bytes) else name for name in names]


def _read_keras_3(group, layers):
    stored = []
    paths = _paths(layers)
    for layer, path in zip(layers, paths, strict=True):
        if layer.weights:
            arrays = _arrays(group[path], layer) if path in group else []
            if not arrays:
                return stored
            stored.append(Stored(path, arrays))
    only_there = [path for path in group if path not in paths]
    return stored + [Stored(path, []) for path in only_there if group[path].get("vars")]


def _arrays(group, layer):
    arrays = [group["vars"][str(at)][()] for at in range(len(group["vars"]))]
    inner = getattr(layer, "layers", ())
    for within, path in zip(inner, _paths(inner), strict=True):
        arrays += _arrays(group["layers"][path], within)
    return arrays


def _paths(layers):
    """conv2d, conv2d_1, ...: the groups' names."""
    kinds = [to_snake_case(type(layer).__name__) for layer in layers]
    return [f"{kind}_{count}" if (count := kinds[:at].count(kind)) else kind for at, kind in enumerate(kinds)]


def check(stored, layers, refusal, top):
    """Refuses what does not fit, by the first layer that differs.

    Args:
        stored: [Stored], as `read` gives it.
        layers: the architecture's layers that have weights; the last is the classifier, and has as many classes as
            it likes.
        refusal: how the sentence begins: "x.h5 does not fit mobilenet".
        top: how many of the last layers `stored` may be without.

    Raises:
        ValueError: naming the layer.
    """
    for at, layer in enumerate(layers):
        if at == len(stored):
            if at < len(layers) - top:
                raise ValueError(f"{refusal}: it holds nothing for layer {layer.name!r}.")
            return
        wanted, given = [variable.shape for variable in layer.weights], [array.shape for array in stored[at].arrays]
        if layer is layers[-1]:
            wanted, given = [shape[:-1] for shape in wanted], [shape[:-1] for shape in given]
        if [*map(tuple, wanted)] != given:
            theirs = f"its {stored[at].name!r} is {_words(given)}"
            raise ValueError(f"{refusal}: layer {layer.name!r} takes {_words(wanted)}, and {theirs}.")
    if len(stored) > len(layers):
        raise ValueError(f"{refusal}: it goes on after the last layer, with {stored[len(layers)].name!r}.")


def _words(shapes):
    return ", ".join("x".join(map(str, shape)) or "one number" for shape in shapes)


def assign(layer, arrays):
    """Sets all weights of `layer`."""
    layer.set_weights(arrays)
    if hasattr(layer, "finalize_state"):  # a Normalization calculates with copies
        layer.finalize_state()
