import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from training.gan import Gan, cross_entropy


# -ln p of the right answer, p = 1 / (1 + exp(-logit))
@pytest.mark.parametrize(
    "is_real, logits, nats", [(True, [0, 0], 0.6931), (True, [2, 0], 0.4100), (False, [2], 2.1269)]
)
def test_cross_entropy_is_that_of_the_right_answer(is_real, logits, nats):
    assert float(cross_entropy(is_real, tf.constant(logits, tf.float32)[:, None])) == pytest.approx(nats, abs=1e-4)


@pytest.mark.parametrize("generator_rate, discriminator_rate", [(0.0, 0.1), (0.1, 0.0)])
def test_each_part_is_trained_by_its_own_optimizer(generator_rate, discriminator_rate):
    keras.utils.set_random_seed(0)
    gan = Gan(zoo.build("dcgan", input_shape=(16, 16, 1), width=0.05), seed=0)
    gan.compile(keras.optimizers.SGD(generator_rate), keras.optimizers.SGD(discriminator_rate))
    parts = gan.generator, gan.discriminator
    before = [[np.asarray(weight) for weight in part.trainable_weights] for part in parts]
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 1), np.uint8)
    gan.fit(images, batch_size=8, epochs=1, verbose=0)
    for part, was, rate in zip(parts, before, (generator_rate, discriminator_rate), strict=True):
        moved = [
            np.abs(np.asarray(weight) - old).max() > 0 for weight, old in zip(part.trainable_weights, was, strict=True)
        ]
        assert all(moved) if rate else not any(moved)


@pytest.mark.parametrize("generator_rate, discriminator_rate", [(0.02, 0.0), (0.0, 0.02)])
def test_step_of_either_part_lowers_its_own_loss(generator_rate, discriminator_rate):
    """-ln D(G(z)), and -ln D(x) - ln(1 - D(G(z))): section 3 of https://arxiv.org/abs/1406.2661."""
    keras.utils.set_random_seed(0)
    gan = Gan(zoo.build("dcgan", input_shape=(16, 16, 1), width=0.1), seed=0)
    gan.compile(keras.optimizers.SGD(generator_rate), keras.optimizers.SGD(discriminator_rate))
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 1), np.uint8)
    noise = tf.random.stateless_normal((8, gan.latents), (0, 0))  # that of seed 0 and step 0

    def loss():
        real, made = (
            gan.discriminator(x, training=True) for x in (images.astype("float32"), gan.generator(noise, training=True))
        )
        right = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(made)).mean()
        return np.log1p(np.exp(-made)).mean() if generator_rate else right

    before = loss()
    gan.fit(images, batch_size=8, epochs=1, verbose=0)
    assert loss() < before
