"""keras.applications behind the zoo's contract, compared with what Keras itself builds."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import graph, pretrained
from zoo.account import account
from zoo.backbones import BACKBONES, PREPROCESSING
from zoo.catalog import ENTRIES

L = keras.layers

SMALL = ["mobilenet_025", "mobilenet_v3_small", "efficientnet_b0"]  # a classifier that is a convolution, hidden
SHAPE = (32, 32, 3)  # layers in the head, a normalisation with weights


def photographs(count=2):
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def output_of(model, layer, images):
    return keras.Model(model.input, model.get_layer(layer).output)(images).numpy()


def test_every_network_of_keras_applications_is_there():
    functions = {name for name in dir(keras.applications) if callable(getattr(keras.applications, name))}
    assert {backbone.function for backbone in BACKBONES.values()} == functions
    assert {backbone.family for backbone in BACKBONES.values()} == {*PREPROCESSING}


@pytest.mark.parametrize("name", BACKBONES)
def test_counts_are_the_tables(name):
    entry = ENTRIES[name]
    with graph.shapes_only():
        model = zoo.build(name, input_shape=entry.input_shape, num_classes=entry.num_classes)
        counted = account(model)
    assert model.count_params() == entry.parameters
    assert counted.total("multiply_adds") == entry.multiply_adds
    assert counted.unknown == ()


@pytest.mark.parametrize("family", PREPROCESSING)
def test_preprocessing_is_the_familys_own(family):
    images = keras.Input(SHAPE, dtype="uint8")
    model = keras.Model(images, pretrained.preprocess(images, family))
    module = getattr(keras.applications, family)
    expected = module.preprocess_input(photographs().astype("float32"))
    np.testing.assert_allclose(model(photographs()), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("family", ["mobilenet", "densenet", "vgg16"])
def test_preprocessing_is_saved_loaded_and_exported(family, tmp_path):
    images = keras.Input(SHAPE, dtype="uint8")
    model = keras.Model(images, pretrained.preprocess(images, family))
    model.save(tmp_path / "model.keras")
    model.export(tmp_path / "model", verbose=False)
    expected = model(photographs()).numpy()
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(photographs()), expected)
    np.testing.assert_allclose(tf.saved_model.load(tmp_path / "model").serve(photographs()), expected, rtol=1e-6)


@pytest.fixture(scope="module", params=SMALL)
def published(request, tmp_path_factory):
    """(name, Keras's own network with a softmax and seven classes, the file of its weights)."""
    keras.utils.set_random_seed(0)
    scores = pretrained.published_network(request.param, input_shape=SHAPE, weights=None, classes=7)
    path = tmp_path_factory.mktemp(request.param) / "seven.weights.h5"
    scores.save_weights(path)
    return request.param, keras.Sequential([scores, L.Softmax()]), path


@pytest.fixture(scope="module")
def model(published):
    name, _, path = published
    return zoo.build(name, input_shape=SHAPE, num_classes=7, weights=path)


def test_with_all_weights_of_a_file_it_is_kerass_network(published, model):
    name, network, _ = published
    module = getattr(keras.applications, BACKBONES[name].family)
    expected = network(module.preprocess_input(photographs().astype("float32")))
    probabilities = model(photographs())
    assert (model.input.dtype, probabilities.dtype) == ("uint8", tf.float32)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


def test_for_other_classes_the_head_is_new_and_the_backbone_the_files(published, model):
    name, _, path = published
    five = zoo.build(name, input_shape=SHAPE, num_classes=5, weights=path)
    assert five.output_shape == (None, 5)
    ours, theirs = five.get_layer("backbone").get_weights(), model.get_layer("backbone").get_weights()
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_scores_are_a_linear_function_of_the_features(model):
    kernel, bias = model.get_layer("logits").get_weights()
    features = zoo.features(model)(photographs()).numpy()
    np.testing.assert_allclose(
        features @ kernel + bias, output_of(model, "logits", photographs()), rtol=1e-3, atol=1e-4
    )


def test_it_is_saved_and_loaded(model, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(photographs()), model(photographs()), atol=1e-6)


def test_without_top_the_backbone_is_the_files(tmp_path):
    network = keras.applications.MobileNet(SHAPE, alpha=0.25, include_top=False, weights=None, pooling="avg")
    network.save_weights(tmp_path / "notop.weights.h5")
    model = zoo.build("mobilenet_025", input_shape=SHAPE, num_classes=7, weights=tmp_path / "notop.weights.h5")
    expected = network(photographs() / np.float32(127.5) - 1)
    np.testing.assert_allclose(zoo.features(model)(photographs()), expected, rtol=1e-4, atol=1e-6)


def test_hidden_layers_that_a_file_without_top_lacks_are_told(tmp_path):
    network = keras.applications.MobileNetV3Small(SHAPE, include_top=False, weights=None)
    network.save_weights(tmp_path / "notop.weights.h5")
    with pytest.warns(UserWarning, match=r"notop.weights.h5 is without top, so conv\w* of mobilenet_v3_small start"):
        zoo.build("mobilenet_v3_small", input_shape=SHAPE, num_classes=7, weights=tmp_path / "notop.weights.h5")


def test_a_file_of_another_network_is_refused_by_the_first_layer_that_differs(published):
    name, _, path = published
    other = {"mobilenet_025": "mobilenet_050"}.get(name, "mobilenet_025")
    words = rf"seven.weights.h5 does not fit {other}: layer 'conv1' takes 3x3x3x\d+, and its 'conv2d' is 3x3x3x"
    with pytest.raises(ValueError, match=words):
        zoo.build(other, input_shape=SHAPE, num_classes=7, weights=path)


def test_efficientnets_published_variances_are_read_as_the_deviations_that_they_are(tmp_path):
    network = pretrained.published_network("efficientnet_b0", input_shape=SHAPE, weights=None, classes=7)
    norm = next(layer for layer in network.layers if isinstance(layer, L.Normalization))
    norm.set_weights([pretrained.MEAN, pretrained.DEVIATION, np.array(0)])
    network.save_weights(tmp_path / "like_imagenet.weights.h5")
    model = zoo.build(
        "efficientnet_b0", input_shape=SHAPE, num_classes=7, weights=tmp_path / "like_imagenet.weights.h5"
    )
    backbone = model.get_layer("backbone")
    norm = next(layer for layer in backbone.layers if isinstance(layer, L.Normalization))
    pixels = keras.Model(backbone.input, norm.output)(photographs().astype("float32"))
    expected = (
        photographs() / 255 - pretrained.MEAN
    ) / pretrained.DEVIATION  # torch's preprocessing, as it was trained
    np.testing.assert_allclose(pixels, expected, rtol=1e-4, atol=1e-5)


def test_a_gradient_reaches_every_weight():
    keras.utils.set_random_seed(0)
    model = zoo.build("mobilenet_025", input_shape=SHAPE, num_classes=7)
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(tf.math.log(model(photographs(8), training=True)[:, 0]))
    gradients = tape.gradient(loss, model.trainable_weights)
    pairs = zip(model.trainable_weights, gradients, strict=True)
    assert [weight.path for weight, gradient in pairs if gradient is None or not np.any(gradient)] == []


def test_the_last_layers_of_the_backbone_can_be_trained_alone():
    model = zoo.build("mobilenet_025", input_shape=SHAPE, num_classes=7)
    for layer in model.get_layer("backbone").layers[:-7]:
        layer.trainable = False
    trained = [weight.path.split("/")[-2] for weight in model.trainable_weights]
    assert [*dict.fromkeys(trained)] == ["conv_pw_13", "conv_pw_13_bn", "logits"]


def test_it_slides_over_larger_photographs():
    model = zoo.build("mobilenet_025", input_shape=SHAPE, num_classes=7)
    sliding = zoo.convolutionize(model)
    np.testing.assert_allclose(sliding(photographs())[:, 0, 0], model(photographs()), atol=1e-5)
    assert sliding(np.zeros((1, 96, 64, 3), np.uint8)).shape == (1, 3, 2, 7)


@pytest.mark.parametrize(
    "shape, words",
    [((32, 32, 1), r"mobilenet_025 takes RGB images, \[H, W, 3\]"), ((16, 16, 3), "must be at least 32x32")],
)
def test_images_that_no_backbone_takes_are_refused(shape, words):
    with pytest.raises(ValueError, match=words):
        zoo.build("mobilenet_025", input_shape=shape, num_classes=7)


def test_a_download_that_fails_tells_the_address_and_where_to_put_the_file(tmp_path):
    code = """
import zoo
try:
    zoo.build("mobilenet_025", input_shape=(224, 224, 3), num_classes=5, weights="imagenet")
except ValueError as error:
    print(error)
"""
    nowhere = {"https_proxy": "http://127.0.0.1:9", "KERAS_HOME": str(tmp_path), "PYTHONPATH": os.getcwd()}
    told = subprocess.run([sys.executable, "-c", code], env=os.environ | nowhere, capture_output=True, text=True)
    file = "mobilenet_2_5_224_tf.h5"
    assert "The weights of mobilenet_025 could not be had from https://storage.googleapis.com/" in told.stdout
    assert f"put it at ~/.keras/models/{file} or give its path" in told.stdout
