import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from training import recipes
from training.errors import InputError
from training.resolution import at_size


def compiled(name, **given):
    model = zoo.build(name, input_shape=(32, 32, 3), num_classes=10, width=0.05, **given)
    recipes.compile_for_training(model, recipes.recipe("airbench"), steps=10)
    return model


@pytest.mark.parametrize("name", ["all_cnn_c", "airbench", "sprint_pool"])
def test_network_of_another_size_has_the_same_weights_and_optimizer(name):
    model = compiled(name)
    small = at_size(model, (24, 24))
    assert small.input_shape == (None, 24, 24, 3) and small.output_shape == (None, 10)
    assert [id(weight) for weight in small.variables] == [id(weight) for weight in model.variables]
    before = model.get_weights()
    images, labels = np.zeros((4, 24, 24, 3), np.uint8), np.eye(10)[:4]
    small.fit(images, labels, verbose=0)
    assert int(model.optimizer.iterations) == 1
    assert any((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))


def test_its_loss_is_the_same_with_the_weight_decay():
    model = compiled("airbench")
    small = at_size(model, (24, 24))
    labels = tf.one_hot([1, 2], 10)
    probabilities = tf.fill((2, 10), 0.1)
    want = float(model.compute_loss(None, labels, probabilities))
    assert float(small.compute_loss(None, labels, probabilities)) == want > float(model.loss(labels, probabilities))


def test_own_size_is_the_network_itself():
    model = compiled("airbench")
    assert at_size(model, None) is model


def test_network_that_wants_one_size_is_told():
    images = keras.Input((32, 32, 3), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images))
    model = keras.Model(images, keras.layers.Dense(10)(x), name="flat")
    with pytest.raises(InputError, match="flat cannot be trained on images of 24x24 first .*--low_resolution_share 0"):
        at_size(model, (24, 24))
