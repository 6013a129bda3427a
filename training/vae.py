"""A variational autoencoder in training: how many nats an image costs.

A pixel is a whole number of 0..255, and a reconstruction gives the location of a logistic distribution over them,
whose scale is learned for each pixel of the image: so reconstruction and divergence are on one scale, and their sum
bounds the bits that an image takes. Source: Kingma et al., 2016, https://arxiv.org/abs/1606.04934, section 6.1.
"""

import math

import keras
import tensorflow as tf

from training.fit import Validation
from training.generative_signatures import to_pixels, vae_signatures

WIDE, NARROW = 25.0, 0.1  # the first scale and the least, in levels of grey
NAMES = ("loss", "reconstruction_nats", "kl_nats", "bits_per_dimension")


class Vae(keras.Model):
    """Trains `network`, a `zoo.generative.conv_vae`; images uint8 [N, H, W, C] in, whatever comes with them unused."""

    def __init__(self, network):
        super().__init__(name=network.name)
        self.network = network
        self.encoder, self.sample, self.decoder = map(network.get_layer, ("encoder", "sample", "decoder"))
        self.log_scale = self.add_weight(
            network.input_shape[1:], keras.initializers.Constant(math.log(WIDE)), name="log_scale"
        )
        self.means = {name: keras.metrics.Mean(name) for name in NAMES}

    @property
    def metrics(self):
        return list(self.means.values())

    def nats(self, images, sample):
        """(reconstruction, Kullback-Leibler divergence) of each image, [N], for one draw of its code by `sample`."""
        mean, log_variance = self.encoder(images)
        locations = self.decoder(sample([mean, log_variance], training=True))
        log_probability = discretized_logistic(tf.cast(images, tf.float32), locations, self.log_scale)
        return -tf.reduce_sum(log_probability, axis=(1, 2, 3)), kl_divergence(mean, log_variance)

    def train_step(self, data):
        images, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            reconstruction, divergence = self.nats(images, self.sample)
            loss = tf.reduce_mean(reconstruction + divergence)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return self.told(reconstruction, divergence)

    def test_step(self, data):
        images, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self.told(*self.nats(images, same_sample))

    def told(self, reconstruction, divergence):
        total = reconstruction + divergence
        values = total, reconstruction, divergence, total / (math.prod(self.log_scale.shape) * math.log(2))
        for mean, value in zip(self.means.values(), values, strict=True):
            mean.update_state(value)
        return {name: mean.result() for name, mean in self.means.items()}

    @property
    def latents(self):
        """How many numbers a code has."""
        return self.decoder.input_shape[-1]

    @property
    def served(self):
        """The Keras model that is exported."""
        return self.network

    def signatures(self):
        return vae_signatures(self.network)

    def generate(self, latents):
        """Codes [N, D] to images uint8."""
        return to_pixels(self.decoder(latents)).numpy()

    def reconstruct(self, images):
        """Images uint8 to images uint8."""
        return to_pixels(self.network(images, training=False)).numpy()

    def tests(self, images):
        """Callbacks that test it after each epoch."""
        return [Validation(self, images)]

    def tested(self, images):
        """{what: value}, means over `images`."""
        got = self.evaluate(images, batch_size=500, verbose=0, return_dict=True)
        return {name: got[name] for name in NAMES[1:]}


def same_sample(code, training):
    """A draw from the Gaussian of `code`, [mean, log_variance], with the same noise each time.

    So a test gives the same again, and takes nothing from the random numbers of the training.
    """
    mean, log_variance = code
    return mean + tf.exp(log_variance / 2) * tf.random.stateless_normal(tf.shape(mean), (0, 0))


def discretized_logistic(values, locations, log_scale):
    """log P of whole numbers 0..255 under a logistic distribution cut into 256 pieces, its tails in the last ones."""
    scale = tf.exp(log_scale) + NARROW
    above, below = (values + 0.5 - locations) / scale, (values - 0.5 - locations) / scale
    # s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)) for the logistic function s: no difference of nearly equal numbers
    inside = tf.math.log_sigmoid(above) + tf.math.log_sigmoid(-below) + tf.math.log1p(-tf.exp(-1 / scale))
    ends = tf.where(values == 0, tf.math.log_sigmoid(above), tf.math.log_sigmoid(-below))
    return tf.where((values == 0) | (values == 255), ends, inside)


def kl_divergence(mean, log_variance):
    """Nats [N] from a Gaussian, independent in each of [N, D], to the standard one."""
    return 0.5 * tf.reduce_sum(mean**2 + tf.exp(log_variance) - 1 - log_variance, axis=1)
