"""Classifiers that slide: https://cs231n.github.io/convolutional-networks/#convert."""

import keras
import numpy as np
import pytest

import zoo
from zoo.account import account
from zoo.convolutional import ConvolvedDense

L = keras.layers
VGG_16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def vgg_16(size, padding, width=1 / 16):
    """VGG-16 with few filters."""
    keras.utils.set_random_seed(1)
    layers = [keras.Input((size, size, 3), dtype="uint8"), L.Rescaling(1 / 255)]
    for filters, convs in VGG_16:
        filters = round(filters * width)
        for _ in range(convs):
            layers.append(L.Conv2D(filters, 3, padding=padding, activation="relu", kernel_initializer="he_normal"))
        layers.append(L.MaxPooling2D(2))
    layers += [L.Flatten(), L.Dropout(0.5), L.Dense(64, activation="relu"), L.Dense(64, activation="relu")]
    scores = L.Dense(10, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=3))
    return keras.Sequential([*layers, scores], name="vgg_16")


def photographs(count, size, channels=3):
    """Random squares of 8 pixels, so that the mean of a window tells it from the next."""
    squares = np.random.default_rng(0).integers(0, 256, (count, size // 8 + 1, size // 8 + 1, channels), dtype=np.uint8)
    return squares.repeat(8, axis=1).repeat(8, axis=2)[:, :size, :size]


def crops(images, size, stride):
    """Every square of `size` pixels at `stride`, row by row: [N, rows, columns, size, size, C]."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    return np.moveaxis(windows[:, ::stride, ::stride], 3, -1)


def predict_each(model, squares):
    probabilities = model.predict(squares.reshape(-1, *squares.shape[3:]), verbose=0)
    return probabilities.reshape(*squares.shape[:3], -1)


@pytest.fixture(scope="module")
def padded_vgg():
    return vgg_16(224, "same")


def test_vgg_16_gives_one_place_for_224_pixels_and_6x6_for_384(padded_vgg):
    sliding = zoo.convolutionize(padded_vgg)
    small, large = photographs(1, 224), photographs(1, 384)
    np.testing.assert_allclose(
        sliding.predict(small, verbose=0)[:, 0, 0], padded_vgg.predict(small, verbose=0), atol=1e-5
    )
    assert sliding.predict(large, verbose=0).shape == (1, 6, 6, 10)


def test_vgg_16_on_384_pixels_is_its_classifier_on_36_windows_of_the_12x12_map(padded_vgg):
    images = photographs(1, 384)
    layers = padded_vgg.layers
    body = keras.Sequential([keras.Input((None, None, 3), dtype="uint8"), *layers[:-5]])
    head = keras.Sequential([keras.Input((7, 7, 32)), *layers[-5:]])
    maps = body.predict(images, verbose=0)
    assert maps.shape == (1, 12, 12, 32)
    class_maps = zoo.convolutionize(padded_vgg).predict(images, verbose=0)
    np.testing.assert_allclose(class_maps, predict_each(head, crops(maps, 7, 1)), atol=1e-5)


def test_vgg_16_without_padding_equals_itself_on_36_crops_at_stride_32():
    model = vgg_16(244, "valid")  # the size at which every pooling fits: 244, 120, 58, 26, 10, 4, and 2x2 at the end
    images = photographs(1, 244 + 5 * 32)
    class_maps = zoo.convolutionize(model).predict(images, verbose=0)
    assert class_maps.shape == (1, 6, 6, 10)
    assert class_maps.std(axis=(1, 2)).max() > 1e-3  # no two places alike by accident
    np.testing.assert_allclose(class_maps, predict_each(model, crops(images, 244, 32)), atol=1e-5)


def test_a_fully_connected_layer_on_7x7x512_is_a_7x7_convolution():
    dense = L.Dense(16, activation="relu", bias_initializer="normal")
    dense.build((None, 7 * 7 * 512))
    conv = L.Conv2D(16, 7, activation="relu")
    conv.build((None, 7, 7, 512))
    conv.set_weights([dense.kernel.numpy().reshape(7, 7, 512, 16), dense.bias.numpy()])
    maps = np.random.default_rng(0).normal(size=(2, 9, 8, 512)).astype("float32")
    np.testing.assert_allclose(ConvolvedDense(dense, (7, 7))(maps), conv(maps), atol=1e-4)


def head(*layers):
    """A network without padding whose last map is 4x4 on 12x12 images, and 7x7 on 18x18 ones."""
    keras.utils.set_random_seed(1)
    body = [L.Rescaling(1 / 255), L.Conv2D(6, 3, activation="relu"), L.MaxPooling2D(2), L.Conv2D(6, 2)]
    return keras.Sequential([keras.Input((12, 12, 3), dtype="uint8"), *body, *layers, L.Softmax()], name="net")


def awake_norm():
    return L.BatchNormalization(
        gamma_initializer="uniform", beta_initializer="normal", moving_mean_initializer="normal"
    )


HEADS = {
    "dense": lambda: head(L.Flatten(), L.Dense(5)),
    "dense without bias": lambda: head(L.Flatten(), L.Dense(5, use_bias=False)),
    "three dense": lambda: head(
        L.Flatten(), L.Dropout(0.5), L.Dense(9, activation="relu"), L.Dense(8, "tanh"), L.Dense(5)
    ),
    "normalised": lambda: head(awake_norm(), L.ReLU(), L.Flatten(), L.Dense(9), awake_norm(), L.ReLU(), L.Dense(5)),
    "activation after flatten": lambda: head(L.Flatten(), L.ReLU(), L.Dense(5)),
    "global average": lambda: head(L.Conv2D(5, 1), L.GlobalAveragePooling2D()),
    "global maximum": lambda: head(L.Conv2D(7, 1), L.GlobalMaxPooling2D(), L.Dense(5)),
    "kept dimensions": lambda: head(L.GlobalAveragePooling2D(keepdims=True), L.Conv2D(5, 1), L.Reshape((5,))),
    "average, then dense": lambda: head(L.AveragePooling2D(2, 1), L.Flatten(), L.Dense(5)),
    "nested": lambda: head(keras.Sequential([keras.Input((4, 4, 6)), L.Conv2D(4, 3)]), L.Flatten(), L.Dense(5)),
}


@pytest.mark.parametrize("name", HEADS)
def test_class_maps_are_the_model_on_every_crop(name):
    model = HEADS[name]()
    images = photographs(2, 18)
    class_maps = zoo.convolutionize(model).predict(images, verbose=0)
    assert class_maps.dtype == np.float32
    np.testing.assert_allclose(class_maps.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(class_maps, predict_each(model, crops(images, 12, 2)), atol=1e-5)


def test_branches_that_meet_again_slide():
    images = keras.Input((12, 12, 3))
    x = L.Conv2D(4, 3)(images)
    x = L.Concatenate()([L.Add()([x, L.Conv2D(4, 1)(x)]), x * 2.0])
    left, right = L.GlobalAveragePooling2D()(x), L.GlobalMaxPooling2D()(x)
    model = keras.Model(images, L.Dense(5, activation="softmax")(L.Concatenate()([left, right])))
    images = photographs(1, 15).astype("float32") / 255
    class_maps = zoo.convolutionize(model).predict(images, verbose=0)
    np.testing.assert_allclose(class_maps, predict_each(model, crops(images, 12, 1)), atol=1e-5)


def test_a_non_square_image_gives_a_non_square_map():
    sliding = zoo.convolutionize(zoo.build("all_cnn_c", input_shape=(32, 32, 3), num_classes=7, width=0.05))
    images = np.zeros((1, 40, 64, 3), np.uint8)
    assert sliding.predict(images, verbose=0).shape == (1, 3, 9, 7)


def test_both_models_share_their_variables():
    model = HEADS["three dense"]()
    sliding = zoo.convolutionize(model)
    assert {id(variable) for variable in sliding.variables} == {id(variable) for variable in model.variables}
    assert account(sliding, input_shape=(12, 12, 3)).total("multiply_adds") == account(model).total("multiply_adds")


def test_a_sliding_network_is_saved_and_loaded(tmp_path):
    sliding = zoo.convolutionize(HEADS["normalised"]())
    sliding.save(tmp_path / "sliding.keras")
    images = photographs(1, 18)
    again = keras.saving.load_model(tmp_path / "sliding.keras")
    np.testing.assert_allclose(again.predict(images, verbose=0), sliding.predict(images, verbose=0), atol=1e-6)


def squeezed(x):
    return L.Multiply()([x, L.GlobalAveragePooling2D(keepdims=True)(x)])


class Mystery(L.Layer):
    def call(self, x):
        return x


REFUSED = {
    "squeeze and excitation": (squeezed, r"\(Multiply\) joins maps of different sizes, \(12, 12, 3\) and \(1, 1, 3\)"),
    "unknown layer": (Mystery(name="odd"), r"'odd' \(Mystery\) is of a kind that may look beyond its window"),
    "reshape": (L.Reshape((3, 12, 12)), r"makes a map out of a vector, \(12, 12, 3\) to \(3, 12, 12\)"),
    "normalised rows": (L.LayerNormalization(axis=1), "works along another axis than the channels"),
    "normalised image": (L.LayerNormalization(axis=(1, 2, 3)), "works along another axis than the channels"),
    "slopes": (L.PReLU(), r"\(PReLU\) has weights for every place of its map"),
    "normalised vector": (
        lambda x: L.BatchNormalization()(L.Flatten()(x)),
        r"\(BatchNormalization\) works on a whole flattened map",
    ),
    "joined vectors": (lambda x: L.Add()([L.Flatten()(x)] * 2), r"\(Add\) works on a whole flattened map"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_slide_is_refused_by_the_layer(name):
    build, words = REFUSED[name]
    images = keras.Input((12, 12, 3))
    x = build(images)
    model = keras.Model(images, L.Dense(5)(x if len(x.shape) == 2 else L.GlobalAveragePooling2D()(x)), name="net")
    with pytest.raises(ValueError, match=f"Model 'net' cannot slide over larger images: its layer .*{words}"):
        zoo.convolutionize(model)


@pytest.mark.parametrize(
    "shape, layer, words",
    [
        ((None, None, 3), L.GlobalAveragePooling2D(), r"it takes any size already, \(None, None, 3\)"),
        ((12,), L.Dense(3), "expected a graph of layers with one input, images"),
        ((12, 12, 3), L.Conv2D(3, 3), r"expected one output, scores \[N, K\], and it gives \(None, 10, 10, 3\)"),
        ((12, 12, 3), L.Flatten(), r"expected one output, scores \[N, K\], and it gives \(None, 432\)"),
    ],
)
def test_what_is_no_classifier_of_images_is_refused(shape, layer, words):
    with pytest.raises(ValueError, match=f"Model 'net' cannot slide over larger images: {words}"):
        zoo.convolutionize(keras.Sequential([keras.Input(shape), layer], name="net"))
