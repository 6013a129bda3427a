"""The lecture's numbers (https://cs231n.github.io/convolutional-networks/), and TensorFlow's own count."""

import json
import math

import keras
import pytest
import tensorflow as tf

import zoo
from zoo import graph
from zoo.account import account

L = keras.layers

VGG_16 = (64, 64, "pool", 128, 128, "pool", *(256, 256, 256, "pool"), *(512, 512, 512, "pool") * 2)


@pytest.fixture(scope="module")
def vgg_16():
    thin = {"dtype": "bfloat16", "kernel_initializer": "zeros"}  # 138 million numbers, and none of their values matters
    layers = [keras.Input((224, 224, 3), dtype="bfloat16")]
    for row in VGG_16:
        pool = row == "pool"
        layers.append(L.MaxPooling2D(dtype="bfloat16") if pool else L.Conv2D(row, 3, padding="same", **thin))
    layers += [L.Flatten(), *(L.Dense(units, **thin) for units in (4096, 4096, 1000))]
    return account(keras.Sequential(layers))


@pytest.fixture(scope="module")
def alexnet():
    layers = [keras.Input((227, 227, 3)), L.Conv2D(96, 11, 4), L.MaxPooling2D(3, 2), L.Conv2D(8, 5, padding="same")]
    layers += [L.MaxPooling2D(3, 2), *(L.Conv2D(8, 3, padding="same") for _ in range(3)), L.MaxPooling2D(3, 2)]
    return account(keras.Sequential(layers))


def layer(*layers):
    return account(keras.Sequential(layers)).layers[-1]


def test_a_fully_connected_layer_of_ten_needs_3600_times_the_weights_of_ten_filters():
    images = keras.Input((300, 300, 3))
    dense, conv = layer(images, L.Flatten(), L.Dense(10)), layer(images, L.Conv2D(10, 5))
    assert (dense.weights, conv.weights) == (2_700_000, 750)


@pytest.mark.parametrize("size, weights", [(32, 3_072), (200, 120_000)])
def test_a_fully_connected_neuron_sees_every_pixel(size, weights):
    assert layer(keras.Input((size, size, 3)), L.Flatten(), L.Dense(1)).weights == weights


def test_ten_5x5_filters_padded_by_two_keep_the_size_and_have_760_parameters():
    conv = layer(keras.Input((32, 32, 3)), L.Conv2D(10, 5, padding="same"))
    assert (conv.output_shape, conv.window.padding) == ((32, 32, 10), (4, 4))
    assert (conv.weights, conv.biases, conv.parameters) == (750, 10, 760)


def test_alexnets_first_layer_shares_105_705_600_parameters_down_to_34_944(alexnet):
    conv = alexnet.layers[1]
    assert math.prod(conv.output_shape) == 290_400
    assert (conv.unshared, conv.parameters) == (105_705_600, 34_944)
    assert conv.as_dense == 290_400 * (227 * 227 * 3 + 1)


def test_alexnets_last_pooling_sees_195_pixels_32_apart(alexnet):
    assert (alexnet.layers[-1].receptive_field, alexnet.layers[-1].jump) == ((195, 195), (32, 32))


def test_vgg_16_parameters(vgg_16):
    assert vgg_16.total("parameters") == 138_357_544
    assert (vgg_16.total("weights"), vgg_16.total("biases")) == (138_344_128, 13_416)
    assert max(vgg_16.layers, key=lambda one: one.weights).weights == 102_760_448


def test_vgg_16_activations_and_multiply_adds(vgg_16):
    assert vgg_16.total("activation_bytes") == 2 * 15_237_608  # bfloat16
    assert round(vgg_16.total("multiply_adds") / 1e9, 2) == 15.47


def test_vgg_16_last_pooling_sees_212_pixels_32_apart(vgg_16):
    pool = [one for one in vgg_16.layers if one.kind == "MaxPooling2D"][-1]
    assert (pool.receptive_field, pool.jump) == ((212, 212), (32, 32))


def test_all_cnn_c_sees_27_pixels_4_apart_after_its_last_3x3():
    layers = account(zoo.build("all_cnn_c", input_shape=(32, 32, 3), num_classes=10, width=0.1)).layers
    last = [one for one in layers if one.window and one.window.kernel == (3, 3)][-1]
    assert (last.receptive_field, last.jump) == ((27, 27), (4, 4))


CIFAR = {"a": (138.7, 44.7, 308.5, 181.1), "b": (157.6, 143.4, 327.4, 200.0), "c": (228.3, 100.9, 398.2, 270.8)}


@pytest.mark.parametrize("family", CIFAR)
def test_cifar_networks_multiply_adds(family):
    names = [f"{kind}_{family}" for kind in ("base", "strided_cnn", "convpool_cnn", "all_cnn")]
    with graph.shapes_only():
        models = [zoo.build(name, input_shape=(32, 32, 3), num_classes=10) for name in names]
        millions = [round(account(model).total("multiply_adds") / 1e6, 1) for model in models]
    assert millions == [*CIFAR[family]]


def test_three_3x3_layers_see_7x7_with_27_c_squared_weights_for_49():
    images = keras.Input((32, 32, 8))
    three = account(keras.Sequential([images, *(L.Conv2D(8, 3) for _ in range(3))]))
    one = layer(images, L.Conv2D(8, 7))
    assert three.layers[-1].receptive_field == one.receptive_field == (7, 7)
    assert (three.total("weights"), one.weights) == (27 * 8**2, 49 * 8**2)


def residual(x):
    y = L.BatchNormalization()(L.Conv2D(8, 3, padding="same", use_bias=False)(x))
    return L.ReLU()(L.Add()([x, L.Conv2D(8, 1)(L.ReLU()(y))]))


KERNELS = ("Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "MatMul")
COUNTED = {
    "conv": lambda x: L.Conv2D(6, 3, strides=2, padding="same")(x),
    "depthwise conv": lambda x: L.DepthwiseConv2D(3, depth_multiplier=2)(x),
    "separable conv": lambda x: L.SeparableConv2D(6, 3, strides=2)(x),
    "dense": lambda x: L.Dense(5)(L.Dense(7)(L.Flatten()(x))),
    "dense at every place": lambda x: L.Dense(5)(x),
    "residual block": residual,
}


def profiled(model):
    """Multiply-adds in convolutions and matrix products, as TensorFlow's profiler counts them."""
    call = tf.function(model).get_concrete_function(tf.TensorSpec((1, *model.input_shape[1:])))
    options = tf.compat.v1.profiler.ProfileOptionBuilder(tf.compat.v1.profiler.ProfileOptionBuilder.float_operation())
    options = options.with_empty_output().build()
    nodes = tf.compat.v1.profiler.profile(call.graph, cmd="op", options=options)
    total = 0
    while nodes.children:
        (nodes,) = nodes.children
        total += nodes.float_ops if nodes.name in KERNELS else 0
    return total / 2


@pytest.mark.parametrize("name", COUNTED)
def test_multiply_adds_are_those_of_tensorflows_profiler(name):
    images = keras.Input((16, 16, 8))
    model = keras.Model(images, COUNTED[name](images))
    assert account(model).total("multiply_adds") == pytest.approx(profiled(model), rel=0.01)


def test_a_grouped_convolution_multiplies_within_its_groups():
    images = keras.Input((16, 16, 8))
    grouped, full = layer(images, L.Conv2D(8, 3, groups=4)), layer(images, L.Conv2D(8, 3))
    assert grouped.multiply_adds * 4 == full.multiply_adds == 14 * 14 * 8 * 3 * 3 * 8


def test_a_transposed_convolution_multiplies_as_often_as_the_convolution_that_it_turns_around():
    down = layer(keras.Input((16, 16, 3)), L.Conv2D(8, 4, 2, padding="same"))
    up = layer(keras.Input((8, 8, 8)), L.Conv2DTranspose(3, 4, 2, padding="same"))
    assert up.output_shape == down.input_shape
    assert up.multiply_adds == down.multiply_adds


def test_parameters_are_weights_biases_and_statistics():
    images = keras.Input((16, 16, 8))
    model = keras.Model(images, residual(images))
    counted = account(model)
    assert counted.total("parameters") == model.count_params()
    norm = next(one for one in counted.layers if one.kind == "BatchNormalization")
    assert (norm.weights, norm.biases, norm.statistics) == (8, 8, 16)


def test_what_can_overwrite_its_input_keeps_no_activations():
    images = keras.Input((16, 16, 8))
    kept = {one.kind: one.activation_bytes for one in account(keras.Model(images, residual(images))).layers}
    a_map = 16 * 16 * 8 * 4
    assert kept == {"InputLayer": a_map, "Conv2D": a_map, "BatchNormalization": 0, "ReLU": 0, "Add": a_map}


def test_an_activation_whose_input_is_read_again_keeps_its_own_output():
    images = keras.Input((16, 16, 8))
    x = L.Conv2D(8, 3, padding="same")(images)
    model = keras.Model(images, L.Add()([x, L.ReLU()(x)]))
    assert next(one for one in account(model).layers if one.kind == "ReLU").activation_bytes == 16 * 16 * 8 * 4


def test_uint8_images_take_a_byte_a_number():
    images = account(zoo.build("all_cnn_c", input_shape=(32, 32, 3), num_classes=10, width=0.1)).layers[0]
    assert (images.name, images.activation_bytes) == ("images", 32 * 32 * 3)


def test_nested_models_are_counted_layer_by_layer():
    inner = keras.Sequential([keras.Input((16, 16, 8)), L.Conv2D(4, 3, name="conv")], name="inner")
    images = keras.Input((16, 16, 8))
    layers = account(keras.Model(images, L.GlobalAveragePooling2D(name="mean")(inner(images)))).layers
    assert [one.name for one in layers[1:]] == ["inner/conv", "mean"]
    assert layers[1].parameters == inner.count_params()


def test_a_layer_used_twice_has_its_parameters_once_and_its_multiply_adds_twice():
    images, conv = keras.Input((16, 16, 8)), L.Conv2D(8, 3, padding="same")
    first, second = account(keras.Model(images, conv(conv(images)))).layers[1:]
    assert (first.parameters, second.parameters) == (584, 0)
    assert first.multiply_adds == second.multiply_adds


class Mystery(L.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=input_shape[1:])

    def call(self, x):
        return x * self.scale


def test_an_unknown_layer_is_named_and_what_is_known_is_given():
    images = keras.Input((4, 4, 2))
    counted = account(keras.Model(images, L.Conv2D(1, 3)(Mystery(name="odd")(images))))
    odd, conv = counted.layers[1:]
    assert [one.name for one in counted.unknown] == ["odd"]
    assert (odd.known, odd.output_shape, odd.parameters, odd.multiply_adds) == (False, (4, 4, 2), 32, None)
    assert (conv.multiply_adds, conv.receptive_field) == (2 * 2 * 9 * 2, None)
    assert counted.total("multiply_adds") == conv.multiply_adds


def test_a_model_of_free_size_is_counted_at_the_size_given():
    model = keras.Sequential([keras.Input((None, None, 3)), L.Conv2D(10, 5)])
    assert account(model, input_shape=(300, 300, 3)).layers[-1].output_shape == (296, 296, 10)
    with pytest.raises(ValueError, match="takes images of any size, .* input_shape="):
        account(model)


def test_a_size_that_the_model_does_not_take_is_refused():
    model = keras.Sequential([keras.Input((32, 32, 3)), L.Conv2D(10, 5)], name="fixed")
    with pytest.raises(ValueError, match=r"Model 'fixed' takes \[\(32, 32, 3\)\], and input_shape is \(64, 64, 3\)"):
        account(model, input_shape=(64, 64, 3))


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize("model", [Subclassed(name="sub"), keras.Sequential([L.Dense(1)], name="sub")])
def test_a_model_without_a_graph_is_refused(model):
    with pytest.raises(ValueError, match="Model 'sub' is a .* without a graph of layers"):
        account(model)


def test_the_account_is_json():
    counted = account(zoo.build("all_cnn_c", input_shape=(32, 32, 3), num_classes=10, width=0.1))
    told = json.loads(json.dumps(counted.as_dict()))
    assert told["totals"]["parameters"] == sum(one["parameters"] for one in told["layers"])
    assert told["layers"][3]["window"] == {
        "kernel": [3, 3],
        "stride": [1, 1],
        "padding": [2, 2],
        "transposed": False,
    }
