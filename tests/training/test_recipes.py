import keras
import numpy as np
import pytest

from training import recipes

RECIPE = recipes.Recipe(epochs=1, batch_size=4, learning_rate=0.5, warmup=0.2, weight_decay=0.1, dropout=0.5)


@pytest.fixture
def model():
    images = keras.Input((8, 8, 1), dtype="uint8")
    x = keras.layers.Conv2D(2, 3)(keras.layers.Rescaling(1 / 255)(images))
    x = keras.layers.Flatten()(keras.layers.Dropout(0.4)(x))
    model = keras.Model(images, keras.layers.Dense(3, activation="softmax")(x))
    recipes.compile_for_training(model, RECIPE, steps=100)
    return model


def rate(model, step):
    return float(np.asarray(model.optimizer._learning_rate(step)))


def test_learning_rate_rises_to_its_peak_and_falls_to_nothing(model):
    assert rate(model, 0) == 0
    assert rate(model, 10) == pytest.approx(0.25)
    assert rate(model, 20) == pytest.approx(0.5)
    assert rate(model, 60) == pytest.approx(0.25)
    assert rate(model, 100) == pytest.approx(0)


def test_weight_decay_takes_its_share_of_kernels_and_nothing_of_biases(model):
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(20)
    before = [np.asarray(weight) for weight in model.trainable_weights]
    nothing = [keras.ops.zeros_like(weight) for weight in model.trainable_weights]
    model.optimizer.apply(nothing, model.trainable_weights)
    for was, weight in zip(before, model.trainable_weights, strict=True):
        kept = 1 - 0.5 * 0.1 if was.ndim > 1 else 1.0
        np.testing.assert_allclose(np.asarray(weight), kept * was, rtol=1e-6)


def test_dropout_is_the_networks_own_times_the_recipes(model):
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [pytest.approx(0.2)]


def test_unknown_recipe_gets_the_nearest_and_the_list():
    with pytest.raises(ValueError, match="Did you mean 'fast'.*Known recipes"):
        recipes.recipe("fats")
