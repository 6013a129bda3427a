"""Receptive fields against what gradients show: which pixels change one place of a map."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.account import account

L = keras.layers

NETWORKS = {
    "stacked": lambda x: L.Conv2D(1, 3)(L.Conv2D(1, 3)(L.Conv2D(1, 3)(x))),
    "strided": lambda x: L.Conv2D(1, 3)(L.Conv2D(1, 5, strides=2)(x)),
    "oblong": lambda x: L.Conv2D(1, (3, 1), strides=(2, 1))(L.Conv2D(1, (1, 5), strides=(1, 2))(x)),
    "dilated": lambda x: L.Conv2D(1, 3, dilation_rate=3)(L.Conv2D(1, 3, dilation_rate=2)(x)),
    "pooled": lambda x: L.Conv2D(1, 3)(L.AveragePooling2D(2)(L.Conv2D(1, 3)(x))),
    "depthwise": lambda x: L.DepthwiseConv2D(3, strides=2)(L.SeparableConv2D(1, 3)(x)),
    "residual": lambda x: L.Add()([L.Conv2D(1, 5, padding="same")(x), L.Conv2D(1, 3, padding="same")(x)]),
    "squeezed": lambda x: L.Multiply()([L.Conv2D(1, 3, padding="same")(x), L.GlobalAveragePooling2D(keepdims=True)(x)]),
    "doubled": lambda x: L.Conv2D(1, 3)(L.UpSampling2D(2)(L.Conv2D(1, 3)(x))),
}


def extent(model, row, column):
    """(first row, rows, first column, columns) of the pixels that output place (row, column) depends on."""
    for variable in model.weights:
        variable.assign(np.ones(variable.shape))
    images = tf.ones((1, *model.input_shape[1:]))
    with tf.GradientTape() as tape:
        tape.watch(images)
        value = model(images)[0, row, column, 0]
    rows, columns = np.nonzero(tape.gradient(value, images)[0, :, :, 0])
    return rows.min(), np.ptp(rows) + 1, columns.min(), np.ptp(columns) + 1


@pytest.mark.parametrize("name", NETWORKS)
def test_receptive_field_and_jump_are_what_gradients_see(name):
    images = keras.Input((31, 31, 1))
    model = keras.Model(images, NETWORKS[name](images))
    middle = model.output_shape[1] // 2 // 2 * 2  # of two neighbours under a doubling, the one that sees as far
    at, after = extent(model, middle, middle), extent(model, middle + 2, middle + 2)
    last = account(model).layers[-1]
    assert last.receptive_field == (at[1], at[3])
    if name != "squeezed":
        assert last.jump == ((after[0] - at[0]) / 2, (after[2] - at[2]) / 2)


def test_a_transposed_convolution_halves_the_jump():
    images = keras.Input((32, 32, 3))
    x = L.Conv2D(8, 4, strides=2, padding="same")(images)
    layers = account(keras.Model(images, L.Conv2DTranspose(3, 4, strides=2, padding="same")(x))).layers
    assert [layer.jump for layer in layers] == [(1, 1), (2, 2), (1, 1)]
    assert [layer.receptive_field for layer in layers] == [(1, 1), (4, 4), (6, 6)]


@pytest.mark.parametrize("size, kernel, stride, output", [(7, 3, 1, 5), (7, 3, 2, 3), (227, 11, 4, 55), (32, 5, 1, 28)])
def test_windows_give_the_size_that_keras_does(size, kernel, stride, output):
    layer = account(keras.Sequential([keras.Input((size, size, 3)), L.Conv2D(1, kernel, stride)])).layers[-1]
    (k, _), (s, _), (p, _), _ = layer.window
    assert layer.output_shape[0] == (size - k + p) // s + 1 == output


@pytest.mark.parametrize("kernel, stride, padding", [(3, 1, 2), (5, 1, 4), (3, 2, 1), (11, 4, 7), (1, 2, 0)])
def test_same_padding_is_what_the_last_window_lacks(kernel, stride, padding):
    model = keras.Sequential([keras.Input((32, 32, 3)), L.Conv2D(1, kernel, stride, padding="same")])
    assert account(model).layers[-1].window.padding == (padding, padding)


def test_a_map_made_from_one_vector_sees_all_of_the_image():
    images = keras.Input((8, 8, 1))
    x = L.Dense(16)(L.Flatten()(L.Conv2D(1, 3)(images)))
    layers = account(keras.Model(images, L.Reshape((4, 4, 1))(x))).layers
    assert layers[-1].receptive_field == (8, 8)
    assert layers[-1].jump == (0, 0)


def test_a_model_whose_input_is_a_vector_has_no_receptive_field():
    latents = keras.Input((16,))
    layers = account(keras.Model(latents, L.Conv2DTranspose(3, 4, 2)(L.Reshape((4, 4, 1))(latents)))).layers
    assert {layer.receptive_field for layer in layers} == {None}
