"""The two layouts in which Keras writes weights, and what is said of a file that does not fit."""

import h5py
import keras
import numpy as np
import pytest

from zoo.weight_files import assign, check, read, weighted

L = keras.layers


def network(filters=4, classes=3, top=True, extra=False):
    """Has two kinds of layers, several of one kind, one without weights and one with layers within it."""
    stem = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(filters, 3, name="inner"), L.BatchNormalization()])
    layers = [keras.Input((8, 8, 3)), stem, L.Conv2D(filters, 3, name="middle"), L.ReLU(), L.Normalization()]
    layers += [L.Conv2D(5, 3, name="last"), L.GlobalAveragePooling2D()] + [L.Dense(classes, name="top")] * top
    return keras.Sequential(layers + [L.Dense(2, name="beyond")] * extra)


def write_legacy(path, model, group=None, cut=False):
    """The layout of Keras 1 and 2: names in attributes, cut into numbered ones where there are too many."""
    with h5py.File(path, "w") as file:
        root = file.create_group(group) if group else file
        names = [layer.name.encode() for layer in model.layers]
        if cut:
            root.attrs["layer_names0"], root.attrs["layer_names1"] = names[:2], names[2:]
        else:
            root.attrs["layer_names"] = names
        for layer in model.layers:
            keys = [f"{layer.name}/{at}:0".encode() for at, _ in enumerate(layer.weights)]
            place = root.create_group(layer.name)
            place.attrs["weight_names"] = keys
            for key, array in zip(keys, layer.get_weights(), strict=True):
                place[key.decode()] = array


def write_keras_3(path, model):
    model.save_weights(path)


def write_whole_legacy(path, model):
    write_legacy(path, model, group="model_weights")


def write_cut_legacy(path, model):
    write_legacy(path, model, cut=True)


WRITERS = {
    "keras_3.weights.h5": write_keras_3,
    "legacy.h5": write_legacy,
    "whole_model.h5": write_whole_legacy,
    "cut.h5": write_cut_legacy,
}


@pytest.fixture(params=WRITERS)
def written(request, tmp_path):
    """Writes a network's weights in one of the layouts and returns the path."""

    def write(model):
        WRITERS[request.param](tmp_path / request.param, model)
        return tmp_path / request.param

    return write


def fit(path, model, top=1):
    layers = weighted(model.layers)
    stored = read(path, model.layers)
    check(stored, layers, "file does not fit network", top=top)
    return stored


def test_every_layer_gets_its_weights_back(written):
    saved, fresh = network(), network()
    saved.layers[3].adapt(np.random.default_rng(0).normal(2, 3, (9, 4, 4, 4)))
    for layer, (_, arrays) in zip(weighted(fresh.layers), fit(written(saved), fresh), strict=True):
        assign(layer, arrays)
    images = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(fresh(images), saved(images), rtol=1e-6)


def test_a_file_without_top_ends_before_the_classifier(written):
    assert len(fit(written(network(top=False)), network())) == len(weighted(network().layers)) - 1


def test_another_number_of_classes_fits(written):
    assert fit(written(network(classes=7)), network(classes=3))[-1].arrays[0].shape == (5, 7)


def test_the_first_layer_that_differs_is_named_with_both_shapes(written):
    words = (
        r"file does not fit network: layer '.*' takes 3x3x3x4, 4, 4, 4, 4, 4, and its '.*' is 3x3x3x6, 6, 6, 6, 6, 6\."
    )
    with pytest.raises(ValueError, match=words):
        fit(written(network(filters=6)), network(filters=4))


def test_a_file_that_ends_too_early_is_refused_by_the_layer_it_lacks(written):
    short = keras.Sequential(network().layers[:2])
    with pytest.raises(ValueError, match="file does not fit network: it holds nothing for layer 'normalization.*'"):
        fit(written(short), network())


def test_a_file_that_goes_on_is_refused(written):
    with pytest.raises(
        ValueError, match="file does not fit network: it goes on after the last layer, with '(beyond|dense_1)'"
    ):
        fit(written(network(extra=True)), network())


def test_no_file_and_files_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "text.h5").write_text("weights")
    h5py.File(tmp_path / "other.h5", "w").create_dataset("table", data=[1]).file.close()
    h5py.File(tmp_path / "empty.h5", "w").close()
    for name, words in [
        ("none.h5", "There is no weights file .*none.h5"),
        ("text.h5", "text.h5 is not an HDF5 file, as Keras's weights are"),
        ("other.h5", "other.h5 holds no Keras weights, only table"),
        ("empty.h5", "empty.h5 holds no Keras weights, only nothing"),
    ]:
        with pytest.raises(ValueError, match=words):
            read(tmp_path / name, network().layers)
