import shutil

import keras
import numpy as np
import pytest

import zoo
from training import backbones
from training.errors import InputError
from training.export import export

NAME, WIDTH = "all_cnn_c", 0.05


def trained(shape=(20, 20, 1)):
    return zoo.build(NAME, input_shape=shape, num_classes=4, width=WIDTH)


@pytest.fixture(scope="module")
def source():
    return trained()


@pytest.fixture(scope="module")
def version(source, tmp_path_factory):
    card = {"model": {"name": NAME, "width": WIDTH, "image_shape": [20, 20, 1]}}
    folder = tmp_path_factory.mktemp("models")
    return export(source, folder, NAME, class_names="abcd", card=card)


@pytest.fixture(scope="module")
def file(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "best.weights.h5"
    source.save_weights(path)
    return path


def features_agree(source, model):
    images = np.random.default_rng(0).integers(0, 256, (3, *model.input_shape[1:]), np.uint8)
    fresh = zoo.build(NAME, input_shape=model.input_shape[1:], num_classes=4, width=WIDTH)
    fresh.set_weights(source.get_weights())
    expected = zoo.features(fresh).predict(images, verbose=0)
    np.testing.assert_allclose(zoo.features(model).predict(images, verbose=0), expected, rtol=1e-5)


def test_version_directory_knows_its_width_and_images(version, source):
    plan = backbones.plan(NAME, str(version))
    assert (plan.image_shape, plan.width) == ((20, 20, 1), WIDTH)
    model = backbones.build(plan, num_classes=7)
    assert model.output_shape == (None, 7)
    features_agree(source, model)


def test_weights_file_knows_its_channels(file, source):
    plan = backbones.plan(NAME, str(file), width=WIDTH, image_size=24)
    assert plan.image_shape == (24, 24, 1)
    features_agree(source, backbones.build(plan, num_classes=7))


def test_weights_that_the_zoo_ships_are_a_backbone_with_their_front():
    plan = backbones.plan(NAME, "fashion_mnist")
    assert plan.image_shape == (28, 28, 1)
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8)
    got = zoo.features(backbones.build(plan, num_classes=7)).predict(images, verbose=0)
    expected = zoo.features(zoo.load(NAME, weights="fashion_mnist")).predict(images, verbose=0)
    np.testing.assert_array_equal(got, expected)


def test_zoos_own_network_is_trained_on_without_its_dropout(version):
    model = backbones.build(backbones.plan(NAME, str(version)), num_classes=3)
    images = np.random.default_rng(0).integers(0, 256, (5, 20, 20, 1), np.uint8)
    np.testing.assert_allclose(model(images, training=True), model(images, training=False), rtol=1e-4)


def test_head_gives_the_scores_it_was_set_to(version):
    model = backbones.build(backbones.plan(NAME, str(version)), num_classes=3)
    images = np.random.default_rng(0).integers(0, 256, (5, 20, 20, 1), np.uint8)
    features = zoo.features(model).predict(images, verbose=0)
    random = np.random.default_rng(1)
    kernel, bias = random.normal(size=(features.shape[1], 3)), random.normal(size=3)
    backbones.set_head(model, kernel, bias)
    scores = np.exp(features @ kernel + bias)
    np.testing.assert_allclose(model.predict(images, verbose=0), scores / scores.sum(1, keepdims=True), rtol=1e-4)


@pytest.mark.parametrize(
    "name, weights, sentence",
    [
        (NAME, "imagenet", r"no ImageNet weights. Give --weights .*fashion_mnist.*the zoo's own.*models/all_cnn_c/1"),
        (NAME, "cifar10", r"all_cnn_c is shipped trained on fashion_mnist, and there is no file or .* cifar10"),
        (NAME, "nowhere.weights.h5", r"no weights file nowhere.weights.h5"),
        (NAME, "{folder}", r"holds no SavedModel: expected a version directory"),
        ("strided_cnn_c", "{version}", r"holds all_cnn_c, not strided_cnn_c: give --backbone all_cnn_c"),
        ("strided_cnn_c", "{file}", r"does not fit strided_cnn_c"),
        ("mobilenet_025", "{file}", r"does not fit mobilenet_025: layer 'conv1'"),
        ("conv_vae", "imagenet", r"conv_vae is a generative network"),
    ],
)
def test_weights_that_are_not_the_networks_are_refused(name, weights, sentence, version, file, tmp_path):
    weights = weights.format(version=version, file=file, folder=tmp_path)
    with pytest.raises(InputError, match=sentence):
        backbones.build(backbones.plan(name, weights, width=WIDTH, image_size=32), num_classes=3)


def test_network_of_keras_applications_has_the_features_of_its_weights(tmp_path):
    keras.utils.set_random_seed(0)
    published = keras.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, include_top=False, pooling="avg")
    published.save_weights(tmp_path / "mobilenet.weights.h5")
    plan = backbones.plan("mobilenet_025", str(tmp_path / "mobilenet.weights.h5"), image_size=32)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    features = zoo.features(backbones.build(plan, num_classes=3)).predict(images, verbose=0)
    np.testing.assert_allclose(features, published.predict(images / 127.5 - 1, verbose=0), atol=1e-5)


def test_other_width_is_refused_with_the_first_layer_that_differs(file):
    with pytest.raises(InputError, match=r"layer 'conv1' takes 3x3x1x48, 48, and its 'conv2d' is 3x3x1x5"):
        backbones.build(backbones.plan(NAME, str(file), width=0.5), num_classes=3)


@pytest.mark.parametrize(
    "damaged, sentence", [("saved_model.pb", "cannot be loaded"), ("model_card.json", "model_card.json is no JSON")]
)
def test_damaged_version_is_refused(version, tmp_path, damaged, sentence):
    copy = tmp_path / "1"
    shutil.copytree(version, copy)
    (copy / damaged).write_bytes(b"\xff no protobuf and no JSON")
    with pytest.raises(InputError, match=sentence):
        backbones.plan(NAME, str(copy))
