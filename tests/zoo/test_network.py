import subprocess
import sys

import keras
import pytest

import zoo


def test_width_multiplies_filters_and_leaves_classes_alone():
    model = zoo.build("all_cnn_c", input_shape=(32, 32, 3), num_classes=10, width=0.5)
    filters = [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert filters == [48] * 3 + [96] * 5 + [10]


def test_front_layers_see_pixels_from_0_to_1_and_feed_the_first_row():
    front = (keras.layers.Conv2D(12, 2, name="whiten"), keras.layers.Activation("tanh", name="squash"))
    model = zoo.build("all_cnn_c", input_shape=(17, 17, 1), num_classes=7, width=0.1, front=front)
    assert model.get_layer("whiten").input is model.get_layer("rescale").output
    assert model.get_layer("dropout1").input is model.get_layer("squash").output
    assert model.get_layer("conv1").kernel.shape == (3, 3, 12, 10)


def test_a_pattern_is_built_like_a_name():
    model = zoo.build("INPUT->[[CONV->RELU]*2->POOL]*3->[FC->RELU]*1->FC", input_shape=(28, 28, 1), num_classes=4)
    assert model.output_shape == (None, 4)
    assert [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)] == [256, 4]


def test_a_pattern_too_deep_for_cifar_fits_larger_images():
    model = zoo.build("INPUT -> [CONV(3x3, 4) -> RELU -> POOL]*6 -> FC", input_shape=(64, 64, 3), num_classes=1)
    assert model.output_shape == (None, 1)


def test_hidden_weights_start_he_normal_by_what_a_layer_gives():
    keras.utils.set_random_seed(0)
    kernel = zoo.build("all_cnn_c", input_shape=(32, 32, 3), num_classes=10).get_layer("conv4").kernel.numpy()
    assert kernel.shape == (3, 3, 96, 192)
    assert kernel.std() == pytest.approx((2 / (3 * 3 * 192)) ** 0.5, rel=0.01)


@pytest.mark.parametrize(
    "name, keywords, sentence",
    [
        ("all_cnn", {"num_classes": 10}, "Unknown model 'all_cnn'. Did you mean 'all_cnn_c'? Known models: linear, "),
        ("zzz", {"num_classes": 10}, "Unknown model 'zzz'. Known models: linear, "),
        ("all_cnn_c", {}, "all_cnn_c needs num_classes, the number of classes."),
        ("all_cnn_c", {"num_classes": 0}, "num_classes must be at least 1, got 0."),
        ("all_cnn_c", {"num_classes": 10, "width": 0}, "width must be above 0, got 0."),
        (
            "all_cnn_c",
            {"num_classes": 10, "weights": "imagenet"},
            "all_cnn_c takes no weights, only num_classes, width, front.",
        ),
        (
            "INPUT -> CONV",
            {"num_classes": 10},
            "A network ends in class scores without a nonlinearity, FC or CONV(1x1, ",
        ),
        ("INPUT -> FC -> RELU", {"num_classes": 10}, "A network ends in class scores without a nonlinearity, FC or "),
        ("INPUT -> CONV(3x3, classes) -> MEAN", {"num_classes": 10}, "A network ends in class scores without a "),
        (
            "INPUT -> [CONV",
            {"num_classes": 10},
            'Expected "->", "*", "?" or "]" and found the end.\n  INPUT -> [CONV\n',
        ),
        (
            "alexnet",
            {"num_classes": 10},
            "Row 1, CONV(11x11, 96, stride 4, valid) -> RELU, is given 32x32x3: (32 - 11)/4",
        ),
    ],
)
def test_what_cannot_be_built_is_answered_with_a_sentence(name, keywords, sentence):
    with pytest.raises(ValueError) as error:
        zoo.build(name, input_shape=(32, 32, 3), **keywords)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("shape", [(32, 32), (32, 32, 0), (None, None, 3), (32.0, 32, 3)])
def test_input_shape_is_three_whole_numbers(shape):
    with pytest.raises(
        ValueError, match=r"^input_shape must be \(height, width, channels\), such as \(32, 32, 3\), got"
    ):
        zoo.build("all_cnn_c", input_shape=shape, num_classes=10)


def test_importing_the_zoo_imports_no_keras():
    code = "import sys, zoo, zoo.__main__; sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
