"""The weights that the zoo ships, each scored again on test images where these are at hand."""

import json
import os

import numpy as np
import pytest

import zoo
from training import datasets, idx, metrics
from zoo import cards, trained

SHIPPED = [(name, dataset) for name, names in cards.shipped().items() for dataset in names]
RESCORED = 1_000  # test images
WHEEL_BYTES = 12_000_000  # of all of them


@pytest.fixture(scope="module", params=SHIPPED, ids="-".join)
def shipped(request):
    """(name, dataset, the loaded network)."""
    name, dataset = request.param
    return name, dataset, zoo.load(name, weights=dataset)


@pytest.fixture(scope="module")
def images_and_labels():
    """The first test images of a dataset, if it is on this machine: fashion_mnist, or CONVZOO_<NAME>, a path."""

    def take(name):
        path = os.environ.get(f"CONVZOO_{name.upper()}")
        folder = idx.DEBIAN_FOLDER
        if path:
            data = datasets.load(path)
        elif name == "fashion_mnist" and idx.has_files(folder):
            data = datasets.load(name, data_dir=folder)
        else:
            pytest.skip(f"{name} is not here; CONVZOO_{name.upper()} may say where its pictures are")
        chosen = np.random.default_rng(0).permutation(len(data.test.labels))[:RESCORED]  # a folder's are class by class
        return data.test.take(chosen), data.class_names

    return take


def test_some_are_shipped_and_all_fit_in_a_wheel():
    assert ("all_cnn_c", "fashion_mnist") in SHIPPED
    assert sum(path.stat().st_size for path in cards.FOLDER.iterdir()) < WHEEL_BYTES


def test_weights_are_the_float16_of_the_file(shipped):
    name, dataset, model = shipped
    path, _ = cards.paths(name, dataset)
    with np.load(path) as file:
        assert set(file.files) == {weight.path for weight in model.weights}
        for weight in model.weights:
            assert (file[weight.path].dtype, weight.dtype) == ("float16", "float32")
            np.testing.assert_array_equal(weight.numpy(), file[weight.path].astype("float32"))


def test_network_and_card_agree(shipped):
    name, dataset, model = shipped
    card = zoo.card(name, weights=dataset)
    assert (model.input.dtype, model.output.dtype) == ("uint8", "float32")
    assert list(model.input_shape[1:]) == card["model"]["image_shape"]
    assert model.output_shape[1] == len(card["class_names"]) == card["dataset"]["classes"]
    assert model.count_params() == card["parameters"]
    assert (card["name"], card["dataset"]["name"]) == (name, dataset)
    assert card["command"].startswith("python -m training.train")
    assert {"recipe", "seed", "libraries", "seconds", "multiply_adds"} <= set(card)
    low, high = card["accuracy"]["interval"]
    assert low <= card["accuracy"]["test"] <= high
    assert metrics.Accuracy(card["accuracy"]["correct"], card["accuracy"]["images"]).interval == (low, high)


def test_card_names_no_folder_of_the_machine_that_trained(shipped):
    name, dataset, _ = shipped
    _, path = cards.paths(name, dataset)
    told = json.dumps(json.loads(path.read_text("utf-8")) | {"class_names": []})
    assert "/" not in told.replace("=./", "=")


def test_accuracy_on_some_test_images_is_the_cards(shipped, images_and_labels):
    name, dataset, model = shipped
    card = zoo.card(name, weights=dataset)
    split, class_names = images_and_labels(dataset)
    labels = np.array([card["class_names"].index(each) for each in class_names])[split.labels]
    again = metrics.accuracy(model.predict(split.images, batch_size=500, verbose=0), labels)
    (low, high), (card_low, card_high) = again.interval, card["accuracy"]["interval"]
    assert low <= card_high and card_low <= high


def test_loaded_network_can_be_trained_on(shipped):
    name, dataset, model = shipped
    fresh = trained.untrained(zoo.card(name, weights=dataset))
    assert [weight.path for weight in model.trainable_weights] == [weight.path for weight in fresh.trainable_weights]


@pytest.mark.parametrize("function", [zoo.load, zoo.card])
@pytest.mark.parametrize(
    "name, weights, sentence",
    [
        (
            "all_cnn_c",
            "fashion_mnst",
            r"no weights 'fashion_mnst' of all_cnn_c\. Did you mean 'fashion_mnist'\? It has",
        ),
        ("vgg_16", "imagenet", r"no trained weights of vgg_16\. It has those of .*all_cnn_c: "),
        ("all_cnn_d", "fashion_mnist", r"Unknown model 'all_cnn_d'\. Did you mean 'all_cnn_c'\?"),
    ],
)
def test_weights_that_there_are_none_of_are_told_with_those_there_are(function, name, weights, sentence):
    with pytest.raises(ValueError, match=sentence):
        function(name, weights=weights)
