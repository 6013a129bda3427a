import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from training.vae import NARROW, Vae, discretized_logistic, kl_divergence


@pytest.mark.parametrize("location, scale", [(0.0, 1.0), (100.0, 25.0), (255.0, 0.2), (128.0, 300.0)])
def test_probabilities_of_all_levels_sum_to_one(location, scale):
    log_scale = np.float32(np.log(scale - NARROW))
    logs = discretized_logistic(tf.range(256, dtype=tf.float32), tf.constant(location), log_scale)
    assert np.exp(logs.numpy().astype("float64")).sum() == pytest.approx(1, abs=1e-4)


def test_probability_is_the_difference_of_the_logistic_function():
    def logistic(x):
        return 1 / (1 + np.exp(-x))

    got = discretized_logistic(tf.constant([0.0, 100.0, 255.0]), tf.constant(110.0), np.float32(np.log(20 - NARROW)))
    want = [logistic(-109.5 / 20), logistic(-9.5 / 20) - logistic(-10.5 / 20), 1 - logistic(144.5 / 20)]
    np.testing.assert_allclose(np.exp(got), want, rtol=1e-4)


def test_level_far_from_its_location_has_a_finite_logarithm():
    # log P falls by 1 / scale for each level away
    got = discretized_logistic(tf.constant([200.0]), tf.constant(0.0), np.float32(np.log(0.5 - NARROW)))
    assert float(got[0]) == pytest.approx(-199.5 / 0.5 + np.log(1 - np.exp(-2)), rel=1e-4)


# for one dimension: (mean^2 + variance - 1 - ln variance) / 2
@pytest.mark.parametrize(
    "means, variances, nats", [([0, 0], [1, 1], 0), ([1, 2], [1, 1], 2.5), ([0], [np.e], (np.e - 2) / 2)]
)
def test_divergence_from_the_standard_gaussian(means, variances, nats):
    got = kl_divergence(tf.constant([means], tf.float32), tf.constant(np.log([variances]), tf.float32))
    assert float(got[0]) == pytest.approx(nats, abs=1e-6)


def test_training_lowers_the_bits_an_image_takes():
    keras.utils.set_random_seed(0)
    vae = Vae(zoo.build("conv_vae", input_shape=(16, 16, 1), width=0.1))
    vae.compile(keras.optimizers.Adam(3e-3))
    images = np.tile(np.linspace(0, 255, 16).astype(np.uint8)[:, None], (8, 1, 16, 1)).reshape(8, 16, 16, 1)
    before = vae.tested(images)["bits_per_dimension"]
    vae.fit(images, batch_size=8, epochs=20, verbose=0)
    assert vae.tested(images)["bits_per_dimension"] < before - 0.5


def test_divergence_is_part_of_what_is_trained():
    """Codes that are far from the standard Gaussian and of no use, since all images are the same, come nearer to it."""
    keras.utils.set_random_seed(0)
    vae = Vae(zoo.build("conv_vae", input_shape=(16, 16, 1), width=0.1))
    vae.encoder.get_layer("mean_map").bias.assign(np.full(vae.latents, 3.0))
    vae.compile(keras.optimizers.Adam(0.03))
    images = np.full((8, 16, 16, 1), 100, np.uint8)
    before = vae.tested(images)["kl_nats"]
    vae.fit(images, batch_size=8, epochs=20, verbose=0)
    assert vae.tested(images)["kl_nats"] < before / 4


def test_bits_per_dimension_are_both_nats_over_the_images_numbers():
    keras.utils.set_random_seed(0)
    vae = Vae(zoo.build("conv_vae", input_shape=(16, 16, 3), width=0.1))
    vae.compile(keras.optimizers.Adam(1e-3))
    got = vae.tested(np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8))
    nats = got["reconstruction_nats"] + got["kl_nats"]
    assert got["bits_per_dimension"] == pytest.approx(nats / (16 * 16 * 3) / np.log(2), rel=1e-5)
    assert 8 < got["bits_per_dimension"] < 12  # noise takes 8 bits and cannot take fewer
