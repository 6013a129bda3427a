import dataclasses

import keras
import numpy as np
import pytest
from PIL import Image

from training import photographs, unfreeze


def network():
    """Two blocks as backbones have them, one of them a model of its own, and a head."""
    inner_images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv1")(inner_images)
    x = keras.layers.BatchNormalization(name="norm1")(x)
    x = keras.layers.DepthwiseConv2D(3, name="conv2")(keras.layers.ReLU()(x))
    x = keras.layers.BatchNormalization(name="norm2")(x)
    backbone = keras.Model(inner_images, keras.layers.GlobalAveragePooling2D()(x), name="backbone")
    images = keras.Input((8, 8, 3), dtype="uint8", name="images")
    x = backbone(keras.layers.Rescaling(1 / 255)(images))
    return keras.Model(images, keras.layers.Dense(2, activation="softmax", name="logits")(x))


@pytest.mark.parametrize(
    "count, names", [(1, {"logits", "conv2"}), (2, {"logits", "conv2", "conv1"}), (9, {"logits", "conv2", "conv1"})]
)
def test_last_layers_and_the_head_are_trained_and_no_normalisation(count, names):
    model = network()
    unfreeze.unfreeze(model, count)
    assert {variable.path.split("/")[-2] for variable in model.trainable_variables} == names


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(14):
        for name, colour in ("dark", (number, 0, 40)), ("light", (200 + number, 230, 180)):
            path = folder / "set" / ("train" if number < 12 else "test") / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), colour).save(path)
    return photographs.read(photographs.find(folder / "set", 0), (8, 8, 3), folder / "cache")


def train(model, photos, parts, epochs):
    weights = np.ones(len(photos.labels), np.float32)
    options = {"batch_size": 4, "learning_rate": 0.03, "seed": 0, "logs": photos.file.parent / "logs"}
    return unfreeze.train(model, photos, parts, weights, epochs=epochs, **options)


class Trained:
    """A network with its last layer and its head trained, from the same start each time."""

    def __init__(self, photos):
        keras.utils.set_random_seed(0)
        self.model = network()
        unfreeze.unfreeze(self.model, 1)
        self.before = self.model.get_weights()
        self.losses = train(self.model, photos, photographs.part(photos, 0.3, 0), epochs=8)
        self.after = self.model.get_weights()


@pytest.fixture(scope="module")
def trained(photos):
    return Trained(photos)


def test_only_unfrozen_layers_change_and_the_loss_falls(trained):
    rows = zip(trained.model.weights, trained.before, trained.after, strict=True)
    changed = {weight.path.split("/")[-2] for weight, before, after in rows if (before != after).any()}
    assert changed == {"logits", "conv2"}
    assert trained.losses.after < trained.losses.before


def test_same_seed_gives_the_same_weights(trained, photos):
    for one, other in zip(trained.after, Trained(photos).after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_training_that_makes_it_worse_leaves_the_weights_as_they_were(trained, photos):
    wrong = dataclasses.replace(photos, labels=photos.labels.copy())
    parts = photographs.part(photos, 0.3, 0)
    wrong.labels[parts.training] = 1 - wrong.labels[parts.training]
    losses = train(trained.model, wrong, parts, epochs=1)
    assert losses.after >= losses.before
    for one, other in zip(trained.model.get_weights(), trained.after, strict=True):
        np.testing.assert_array_equal(one, other)
