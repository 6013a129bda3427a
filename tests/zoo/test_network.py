import subprocess
import sys

import keras
import numpy as np
import pytest

import zoo
from zoo import catalog


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1), dtype=np.uint8)


@pytest.fixture(scope="module", params=catalog.ENTRIES)
def model(request):
    keras.utils.set_random_seed(0)
    return zoo.build(request.param, input_shape=(16, 16, 1), num_classes=7, width=0.1)


def test_uint8_images_give_probabilities(model, images):
    probabilities = model.predict(images, verbose=0)
    assert probabilities.shape == (3, 7)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_probabilities_are_the_softmax_of_scores_of_both_signs(model, images):
    logits = keras.Model(model.input, model.get_layer("logits").output).predict(images, verbose=0)
    assert (logits < 0).any() and (logits > 0).any()
    np.testing.assert_allclose(keras.ops.softmax(logits), model.predict(images, verbose=0), rtol=1e-5, atol=1e-6)


def test_class_scores_are_a_linear_function_of_the_features(model, images):
    features = zoo.features(model).predict(images, verbose=0)
    kernel, bias = model.get_layer("class_maps").get_weights()
    logits = keras.Model(model.input, model.get_layer("logits").output).predict(images, verbose=0)
    np.testing.assert_allclose(features @ kernel[0, 0] + bias, logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", catalog.ENTRIES)
def test_parameter_count(name):
    entry = catalog.ENTRIES[name]
    model = zoo.build(name, input_shape=entry.input_shape, num_classes=entry.num_classes)
    assert model.count_params() == entry.parameters


def test_width_multiplies_filters_and_leaves_classes_alone():
    model = zoo.build("all_cnn_c", input_shape=(32, 32, 3), num_classes=10, width=0.5)
    assert [layer.filters for layer in model.layers if "filters" in dir(layer)] == [48] * 3 + [96] * 5 + [10]


def test_front_layers_see_pixels_from_0_to_1_and_feed_the_first_row():
    front = (keras.layers.Conv2D(12, 2, name="whiten"), keras.layers.Activation("tanh", name="squash"))
    model = zoo.build("all_cnn_c", input_shape=(17, 17, 1), num_classes=7, width=0.1, front=front)
    assert model.get_layer("whiten").input is model.get_layer("rescale").output
    assert model.get_layer("dropout1").input is model.get_layer("squash").output
    assert model.get_layer("conv1").kernel.shape == (3, 3, 12, 10)


def test_unknown_name_is_answered_with_the_nearest_and_all():
    with pytest.raises(ValueError) as error:
        zoo.build("all_cnn", input_shape=(32, 32, 3), num_classes=10)
    assert str(error.value).startswith("Unknown model 'all_cnn'. Did you mean 'all_cnn_c'? Known models: base_c, ")


@pytest.mark.parametrize(
    "sizes, words",
    [
        ({"num_classes": 0}, "num_classes must be at least 1, got 0."),
        ({"num_classes": 10, "width": 0}, "width must be above 0, got 0."),
    ],
)
def test_impossible_sizes_are_refused(sizes, words):
    with pytest.raises(ValueError, match=words):
        zoo.build("all_cnn_c", input_shape=(32, 32, 3), **sizes)


def test_importing_the_zoo_imports_no_keras():
    code = "import sys, zoo, zoo.catalog; sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
