"""What holds for every classifier of the catalog; a failure names the network.

Networks that are tables are built narrow and for the smallest image from 16x16 that fits: their arithmetic, checked
against Keras there, gives the counts at full size. The pretrained ones, which one function builds, are here by their
smallest; test_pretrained.py goes through their kinds.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import rows
from zoo.catalog import ENTRIES, Table

TABLES = [name for name, entry in ENTRIES.items() if isinstance(entry, Table)]
PRETRAINED = ["mobilenet_025"]
NUM_CLASSES = 7
WIDTH = 0.1


def small(name):
    """What to build `name` with."""
    entry = ENTRIES[name]
    if name in PRETRAINED:
        return {"input_shape": (32, 32, 3), "num_classes": NUM_CLASSES}
    channels = entry.input_shape[-1]
    sizes = rows.fitting_sizes(rows.sized(entry.rows, NUM_CLASSES), channels)
    size = next(size for size in sizes if size >= 16)
    return {"input_shape": (size, size, channels), "num_classes": NUM_CLASSES, "width": WIDTH}


@pytest.fixture(scope="module", params=[*TABLES, *PRETRAINED])
def network(request):
    keras.utils.set_random_seed(0)
    return zoo.build(request.param, **small(request.param))


@pytest.fixture(scope="module")
def images(network):
    return np.random.default_rng(0).integers(0, 256, (4, *network.input_shape[1:]), dtype=np.uint8)


def output_of(network, layer, images):
    return keras.Model(network.input, network.get_layer(layer).output)(images).numpy()


def test_uint8_images_give_probabilities(network, images):
    probabilities = network(images).numpy()
    assert network.input.dtype == "uint8"
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (len(images), NUM_CLASSES)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def scores_layer(network):
    return network.get_layer("class_maps" if "class_maps" in {layer.name for layer in network.layers} else "logits")


def test_probabilities_are_the_softmax_of_scores_of_any_sign(network, images):
    layer = scores_layer(network)
    kernel, bias = layer.get_weights()
    signs = []
    for far in (-1000, 1000):
        layer.set_weights([kernel, bias + far])
        signs.append(np.sign(output_of(network, "logits", images)))
    layer.set_weights([kernel, bias])
    assert (signs[0] == -1).all() and (signs[1] == 1).all()
    logits = output_of(network, "logits", images)
    np.testing.assert_allclose(keras.ops.softmax(logits), network(images), rtol=1e-5, atol=1e-6)


def test_scores_are_a_linear_function_of_the_features(network, images):
    features = zoo.features(network)(images).numpy()
    kernel, bias = scores_layer(network).get_weights()
    assert features.shape == (len(images), kernel.shape[-2])
    np.testing.assert_allclose(
        features @ kernel.reshape(kernel.shape[-2:]) + bias, output_of(network, "logits", images), rtol=1e-3, atol=1e-5
    )


def test_a_gradient_reaches_every_weight(network, images):
    with tf.GradientTape() as tape:
        probabilities = network(images, training=True)
        loss = keras.ops.mean(keras.losses.sparse_categorical_crossentropy(np.arange(len(images)), probabilities))
    gradients = tape.gradient(loss, network.trainable_weights)
    unreached = [
        weight.path
        for weight, gradient in zip(network.trainable_weights, gradients, strict=True)
        if gradient is None or not np.any(gradient)
    ]
    assert unreached == []


def test_saved_and_loaded_it_gives_the_same(network, images, tmp_path):
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded(images).numpy(), network(images).numpy())


def test_exported_it_gives_the_same(network, images, tmp_path):
    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.add_endpoint("serve", network.call, [keras.InputSpec(shape=(None, *images.shape[1:]), dtype="uint8")])
    archive.write_out(tmp_path / "network", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "network")
    np.testing.assert_allclose(loaded.serve(images), network(images), rtol=1e-4, atol=1e-6)


def test_it_slides_and_is_itself_at_its_training_size(network, images):
    class_maps = zoo.convolutionize(network)(images).numpy()
    np.testing.assert_allclose(class_maps[:, 0, 0], network(images), atol=1e-5)


@pytest.mark.parametrize("network", [name for name in TABLES if "all_c" in name], indirect=True)
def test_nothing_called_all_conv_has_pooling_but_the_last_average(network):
    pools = [type(layer).__name__ for layer in network.layers if "Pooling" in type(layer).__name__]
    assert pools == ["GlobalAveragePooling2D"]


@pytest.mark.parametrize("network", TABLES, indirect=True)
def test_keras_counts_the_parameters_that_the_rows_say(network):
    table = rows.sized(ENTRIES[network.name].rows, NUM_CLASSES, WIDTH)
    assert network.count_params() == rows.parameters(table, network.input_shape[1:])


@pytest.mark.parametrize(
    "name, parameters",
    [
        ("linear", 32 * 32 * 3 * 10 + 10),
        ("one_conv", 328_586),
        ("conv_pool", 1_070_794),
        ("conv_conv_pool", 879_914),
        ("lenet_5", 61_706),
        ("alexnet", 62_378_344),
        ("vgg_11", 132_863_336),
        ("vgg_16", 138_357_544),
        ("vgg_19", 143_667_240),
        ("base_a", 839_242),
        ("strided_cnn_a", 839_242),
        ("convpool_cnn_a", 1_254_250),
        ("all_cnn_a", 1_254_250),
        ("base_b", 885_610),
        ("strided_cnn_b", 885_610),
        ("convpool_cnn_b", 1_300_618),
        ("all_cnn_b", 1_300_618),
        ("base_c", 954_730),
        ("strided_cnn_c", 954_730),
        ("convpool_cnn_c", 1_369_738),
        ("all_cnn_c", 1_369_738),
        ("all_cnn_b_imagenet", 9_372_840),
        ("airbench", 1_961_546),
        ("sprint_pool", 1_962_698),
        ("sprint_all_conv", 1_962_698),
    ],
)
def test_parameters(name, parameters):
    assert ENTRIES[name].parameters == parameters


@pytest.mark.parametrize(
    "name, millions",
    [  # one multiplication with its addition, biases left out; the 3x3 convolution after the stages "valid"
        ("base_a", 138.7),
        ("strided_cnn_a", 44.7),
        ("convpool_cnn_a", 308.5),
        ("all_cnn_a", 181.1),
        ("base_b", 157.6),
        ("strided_cnn_b", 143.4),
        ("convpool_cnn_b", 327.4),
        ("all_cnn_b", 200.0),
        ("base_c", 228.3),
        ("strided_cnn_c", 100.9),
        ("convpool_cnn_c", 398.2),
        ("all_cnn_c", 270.8),
        ("vgg_16", 15_470.3),
    ],
)
def test_multiply_adds(name, millions):
    assert ENTRIES[name].multiply_adds / 1e6 == pytest.approx(millions, abs=0.05)
