import json

import keras
import numpy as np
import pytest

import zoo
from zoo.front import front_from, front_of

L = keras.layers
SHAPE = (8, 8, 3)


def layers():
    statistics = {"mean": [0.1, 0.2, 0.3], "variance": [1.0, 2.0, 3.0]}
    return L.Normalization(**statistics, name="standardize"), L.Conv2D(5, 2, trainable=False, name="whiten")


def build(name, front):
    return zoo.build(name, input_shape=SHAPE, num_classes=4, front=front)


@pytest.mark.parametrize("name", ["linear", "INPUT -> [CONV(3x3, 8) -> RELU -> POOL] -> FC", "sprint_pool"])
def test_layers_made_from_json_are_those_the_network_was_built_with(name):
    model = build(name, layers())
    again = build(name, front_from(json.loads(json.dumps(front_of(model, name)))))
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert not again.get_layer("whiten").trainable
    again.set_weights(model.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (2, *SHAPE), np.uint8)
    np.testing.assert_array_equal(again(images), model(images))


@pytest.mark.parametrize("name", ["linear", "all_cnn_c"])
def test_network_without_a_front_has_none(name):
    shape = {"linear": SHAPE, "all_cnn_c": (32, 32, 3)}[name]
    assert front_of(zoo.build(name, input_shape=shape, num_classes=4), name) == []


def test_network_that_is_no_rows_has_none():
    assert front_of(zoo.build("conv_vae", input_shape=(28, 28, 1)), "conv_vae") == []


def test_class_that_nobody_knows_is_told():
    (config,) = front_of(build("linear", [L.Rescaling(2.0)]), "linear")
    unknown = {**config, "module": "elsewhere", "class_name": "Whitening", "registered_name": "elsewhere>Whitening"}
    with pytest.raises(ValueError, match="Before its first row the network has Whitening"):
        front_from([unknown])
