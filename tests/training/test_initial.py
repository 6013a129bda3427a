import keras
import numpy as np

from training.initial import start_as_identity


def test_first_filters_hand_their_channel_on_and_the_others_stay_random():
    images = keras.Input((6, 6, 3))
    conv = keras.layers.Conv2D(5, 3, padding="same")
    model = keras.Model(images, conv(images))
    before = conv.get_weights()[0]
    start_as_identity(model)
    given = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)
    np.testing.assert_allclose(model.predict(given, verbose=0)[..., :3], given, rtol=1e-6)
    np.testing.assert_array_equal(conv.get_weights()[0][..., 3:], before[..., 3:])


def test_convolutions_that_cannot_hand_all_on_and_frozen_ones_are_left():
    images = keras.Input((6, 6, 4))
    layers = [
        keras.layers.Conv2D(3, 3, padding="same"),  # fewer filters than channels
        keras.layers.Conv2D(8, 2, padding="same"),  # a window without a middle
        keras.layers.Conv2D(8, 3, padding="same", trainable=False),
    ]
    x = images
    for layer in layers:
        x = layer(x)
    model = keras.Model(images, x)
    before = model.get_weights()
    start_as_identity(model)
    for was, weight in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, was)
