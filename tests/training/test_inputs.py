import keras
import numpy as np
import pytest

import zoo
from training import inputs
from training.precision import dtype_policy
from zoo.account import account


@pytest.fixture(scope="module")
def images():
    """Correlated pixels of unequal tone in three channels."""
    random = np.random.default_rng(0)
    smooth = random.normal(size=(3000, 6, 6, 3)).cumsum(axis=1).cumsum(axis=2)
    return np.clip(100 + 15 * smooth + [0, 20, 40], 0, 255).astype(np.uint8)


def applied(kind, images):
    given = keras.Input(images.shape[1:], dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(given)
    for layer in inputs.front(kind, images)():
        x = layer(x)
    return keras.Model(given, x).predict(images, verbose=0)


def test_standard_gives_each_channel_mean_0_and_variance_1(images):
    seen = applied("standard", images)
    np.testing.assert_allclose(seen.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(seen.var(axis=(0, 1, 2)), 1, rtol=1e-3)


def test_contrast_gives_each_image_mean_0_and_norm_55(images):
    flat = np.asarray(inputs.contrast(images[:10]))
    np.testing.assert_allclose(flat.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(flat, axis=1), 55, rtol=1e-5)


def test_zca_leaves_pixels_uncorrelated(images):
    seen = applied("zca", images).reshape(len(images), -1)
    plain = np.asarray(inputs.contrast(images))
    eigenvalues, vectors = np.linalg.eigh(np.cov(plain.T, bias=True))
    got = vectors.T @ np.cov(seen.T, bias=True) @ vectors
    np.testing.assert_allclose(got, np.diag(eigenvalues / (eigenvalues + 0.1)), atol=0.01)  # the bias of 0.1


def test_zca_is_counted_as_the_product_with_a_matrix_that_it_is(images):
    [layer] = inputs.front("zca", images[:300])()
    [counted] = account(keras.Sequential([keras.Input((6, 6, 3)), layer])).layers[1:]
    assert counted.known and counted.multiply_adds == (6 * 6 * 3) ** 2


def test_zca_stays_closest_to_the_images_it_whitens(images):
    _, matrix = inputs.whitening(images)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-8)


def test_patches_come_out_uncorrelated_with_variance_1(images):
    """Section 3.2 of https://arxiv.org/abs/2404.00498: eigenvectors over their deviations, and their negatives."""
    standard = applied("standard", images)
    filters = inputs.patch_filters(standard, bias=0.0)
    assert filters.shape == (2, 2, 3, 24)
    white = np.asarray(keras.ops.conv(standard, filters)).reshape(-1, 24)
    np.testing.assert_allclose(np.cov(white[:, :12].T), np.eye(12), atol=0.01)
    np.testing.assert_allclose(white[:, 12:], -white[:, :12], atol=1e-3)


def test_whitening_layer_shows_each_filter_where_it_is_positive_and_stays_as_it_is(images):
    front = inputs.front("patches", images)
    seen = applied("patches", images)
    assert (
        seen.shape[1:] == (5, 5, 24) and (seen >= 0).all() and (np.minimum(seen[..., :12], seen[..., 12:]) == 0).all()
    )
    assert not front()[-1].trainable_weights


def test_image_of_one_tone_stays_finite(images):
    flat = np.full((1, *images.shape[1:]), 7, np.uint8)
    assert np.isfinite(np.asarray(inputs.contrast(flat))).all()


@pytest.mark.parametrize("kind", ["unit", "standard", "zca", "patches"])
def test_weights_carry_the_front_to_a_second_model(images, kind):
    front = inputs.front(kind, images)
    first, second = (zoo.build("linear", input_shape=(6, 6, 3), num_classes=2, front=front()) for _ in range(2))
    second.set_weights(first.get_weights())
    np.testing.assert_array_equal(first.predict(images[:5], verbose=0), second.predict(images[:5], verbose=0))


@pytest.mark.parametrize("kind", inputs.FRONTS)
def test_front_goes_with_either_precision(images, kind):
    def built(policy):
        with dtype_policy(policy):
            return zoo.build("linear", input_shape=(6, 6, 3), num_classes=2, front=inputs.front(kind, images)())

    exact, mixed = built("float32"), built("mixed_bfloat16")
    mixed.set_weights(exact.get_weights())
    want, got = (model.predict(images[:8], verbose=0) for model in (exact, mixed))
    np.testing.assert_allclose(got, want, atol=0.05)


def test_saved_model_keeps_its_whitening(images, tmp_path):
    model = zoo.build("linear", input_shape=(6, 6, 3), num_classes=2, front=inputs.front("zca", images)())
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.predict(images[:5], verbose=0), model.predict(images[:5], verbose=0))
