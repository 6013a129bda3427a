"""DCGAN in training: https://arxiv.org/abs/1511.06434, with the generator's loss that does not saturate."""

import keras
import tensorflow as tf

from training.generative_signatures import gan_signatures, to_pixels


class Gan(keras.Model):
    """Trains `network`, a `zoo.generative.dcgan`; images uint8 [N, H, W, C] in, whatever comes with them unused.

    The noise of a step is a function of (seed, step) alone, as its images are, so that a training can go on.
    """

    def __init__(self, network, seed):
        super().__init__(name=network.name)
        self.generator, self.discriminator = network.get_layer("generator"), network.get_layer("discriminator")
        self.seed = seed
        self.means = {name: keras.metrics.Mean(name) for name in ("loss", "generator_loss", "discriminator_loss")}

    def compile(self, optimizer, discriminator_optimizer, **given):
        super().compile(optimizer=optimizer, **given)
        self.discriminator_optimizer = discriminator_optimizer
        optimizer.build(self.generator.trainable_variables)
        discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def variables(self):
        """With the second optimizer's, for a checkpoint takes those of `optimizer` alone."""
        return [*super().variables, *self.discriminator_optimizer.variables]

    @property
    def metrics(self):
        return list(self.means.values())

    def train_step(self, data):
        images, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        real = tf.cast(images, tf.float32)
        step = tf.cast(self.optimizer.iterations, tf.int32)
        noise = tf.random.stateless_normal((tf.shape(real)[0], self.latents), (self.seed, step))
        with tf.GradientTape(persistent=True) as tape:
            made = self.generator(noise, training=True)
            says_real, says_made = (self.discriminator(images, training=True) for images in (real, made))
            generator_loss = cross_entropy(True, says_made)
            discriminator_loss = cross_entropy(True, says_real) + cross_entropy(False, says_made)
        for optimizer, part, loss in (
            (self.discriminator_optimizer, self.discriminator, discriminator_loss),
            (self.optimizer, self.generator, generator_loss),
        ):
            optimizer.apply(tape.gradient(loss, part.trainable_variables), part.trainable_variables)
        for mean, value in zip(
            self.means.values(), (generator_loss + discriminator_loss, generator_loss, discriminator_loss), strict=True
        ):
            mean.update_state(value)
        return {name: mean.result() for name, mean in self.means.items()}

    @property
    def latents(self):
        """How many numbers an image is made of."""
        return self.generator.input_shape[-1]

    @property
    def served(self):
        """The Keras model that is exported."""
        return self.generator

    def signatures(self):
        return gan_signatures(self.generator)

    def generate(self, latents):
        """Noise [N, D] to images uint8."""
        return to_pixels(self.generator(latents, training=False)).numpy()

    def tests(self, images):
        """None: it gives images no probability that could be tested."""
        return []

    def tested(self, images):
        return {}


def cross_entropy(is_real, logits):
    """Nats, the mean over [N, 1], of calling every image real or every one made."""
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.fill(tf.shape(logits), float(is_real)), logits))
