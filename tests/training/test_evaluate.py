import keras
import numpy as np
import pytest

from training.datasets import Split
from training.evaluate import Accuracy, evaluate


# Wilson, 1927; values from the closed form, as in Newcombe, Statistics in Medicine 17 (1998), table I
@pytest.mark.parametrize(
    "correct, total, low, high",
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_interval_is_wilsons(correct, total, low, high):
    assert Accuracy(correct, total).interval == pytest.approx((low, high), abs=5e-5)


def test_words_give_share_count_and_interval():
    assert str(Accuracy(9250, 10_000)) == ("92.50% of 10,000 test images correct (95% interval 91.97% to 93.00%)")


def test_every_image_is_scored():
    images = keras.Input((1, 1, 1), dtype="uint8")
    scores = keras.layers.Flatten()(keras.layers.Rescaling(1.0)(images))
    model = keras.Model(images, keras.layers.Concatenate()([1.5 - scores, scores]))  # says 1 where the pixel is above 0
    split = Split(np.array([0, 1, 1, 0, 1], np.uint8).reshape(5, 1, 1, 1), np.array([0, 1, 0, 0, 1], np.int32))
    assert evaluate(model, split, batch_size=2) == Accuracy(4, 5)
