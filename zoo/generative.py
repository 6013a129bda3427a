"""Generative networks without pooling: a variational autoencoder and DCGAN.

Images are scaled as everywhere, 0..255: uint8 images go in, and what comes out is float32 on the same scale.
The parts of a model are its layers of that name, each a model itself: `model.get_layer("decoder")`.

Sources: https://arxiv.org/abs/1312.6114 (VAE), https://arxiv.org/abs/1511.06434 (DCGAN), and
https://distill.pub/2016/deconv-checkerboard/ for the kernels: 4x4 at stride 2, or resize and convolve.
"""

import keras

L = keras.layers

VAE_LATENTS = 32
VAE_FILTERS = 32
GAN_LATENTS = 100
GAN_FILTERS = 64


def conv_vae(name, *, input_shape, width=1.0):
    """Images [N, *input_shape] to their reconstructions, by a code of VAE_LATENTS numbers.

    Parts: `encoder`, images to [mean, log_variance] of the code, each [N, VAE_LATENTS]; `sample`, a draw from that
    Gaussian while training and its mean else; `decoder`, codes to images.
    """
    levels = halvings(input_shape)
    filters = [max(1, round(VAE_FILTERS * width * 2**level)) for level in range(levels)]
    images = keras.Input(input_shape, dtype="uint8", name="images")
    encoder = _encoder(input_shape, filters)
    latents = Sample(name="sample")(encoder(images))
    return keras.Model(images, _decoder(input_shape, filters)(latents), name=name)


def _encoder(input_shape, filters):
    images = keras.Input(input_shape, dtype="uint8", name="images")
    x = L.Rescaling(1 / 255, name="rescale")(images)
    for at, count in enumerate(filters, 1):
        x = L.Conv2D(count, 3, 2, "same", activation="relu", kernel_initializer="he_normal", name=f"conv{at}")(x)
    code = [
        L.Reshape((VAE_LATENTS,), name=part)(L.Conv2D(VAE_LATENTS, x.shape[1:3], name=f"{part}_map")(x))
        for part in ("mean", "log_variance")
    ]
    return keras.Model(images, code, name="encoder")


def _decoder(input_shape, filters):
    relu = {"activation": "relu", "kernel_initializer": "he_normal"}
    latents = keras.Input((VAE_LATENTS,), name="latents")
    x = L.Reshape((1, 1, VAE_LATENTS), name="place")(latents)
    x = L.Conv2DTranspose(filters[-1], _smallest(input_shape), **relu, name="map")(x)
    for at, count in enumerate(reversed(filters), 1):
        x = L.UpSampling2D(2, name=f"resize{at}")(x)
        x = L.Conv2D(count, 3, padding="same", **relu, name=f"conv{at}")(x)
    x = L.Conv2D(input_shape[-1], 3, padding="same", activation="sigmoid", name="pixels")(x)
    return keras.Model(latents, L.Rescaling(255, dtype="float32", name="reconstructions")(x), name="decoder")


@keras.saving.register_keras_serializable("convzoo")
class Sample(keras.layers.Layer):
    """[mean, log_variance], each [N, D], to a draw [N, D] from that Gaussian while training, and to its mean else."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator()

    def call(self, code, training=False):
        mean, log_variance = code
        if not training:
            return mean
        noise = keras.random.normal(keras.ops.shape(mean), dtype=self.compute_dtype, seed=self.seeds)
        return mean + keras.ops.exp(log_variance / 2) * noise


def dcgan(name, *, input_shape, width=1.0):
    """Latents [N, GAN_LATENTS] to how real the images made of them look, as a logit [N, 1].

    Parts: `generator`, latents (normal noise) to images; `discriminator`, images to logits. Batch normalisation stands
    everywhere but at the generator's output and the discriminator's input.
    """
    levels = halvings(input_shape)
    filters = [max(1, round(GAN_FILTERS * width * 2**level)) for level in range(levels + 1)]
    latents = keras.Input((GAN_LATENTS,), name="latents")
    images = _generator(input_shape, filters[1:])(latents)
    return keras.Model(latents, _discriminator(input_shape, filters[:-1])(images), name=name)


def _generator(input_shape, filters):
    latents = keras.Input((GAN_LATENTS,), name="latents")
    x = L.Reshape((1, 1, GAN_LATENTS), name="place")(latents)
    size, stride, padding = _smallest(input_shape), 1, "valid"
    for at, count in enumerate(reversed(filters), 1):
        x = L.Conv2DTranspose(count, size, stride, padding, use_bias=False, **_narrow(), name=f"up{at}")(x)
        x = L.ReLU(name=f"relu{at}")(L.BatchNormalization(name=f"norm{at}")(x))
        size, stride, padding = 4, 2, "same"
    x = L.Conv2DTranspose(input_shape[-1], 4, 2, "same", activation="tanh", **_narrow(), name="pixels")(x)
    return keras.Model(latents, L.Rescaling(127.5, 127.5, dtype="float32", name="generated")(x), name="generator")


def _discriminator(input_shape, filters):
    images = keras.Input(input_shape, name="images")  # float32: gradients pass from here to the generator
    x = L.Rescaling(1 / 127.5, -1, name="rescale")(images)
    for at, count in enumerate(filters, 1):
        x = L.Conv2D(count, 4, 2, "same", use_bias=at == 1, **_narrow(), name=f"conv{at}")(x)
        x = L.BatchNormalization(name=f"norm{at}")(x) if at > 1 else x
        x = L.LeakyReLU(0.2, name=f"relu{at}")(x)
    x = L.Conv2D(1, x.shape[1:3], **_narrow(), name="whole")(x)
    return keras.Model(images, L.Reshape((1,), dtype="float32", name="logits")(x), name="discriminator")


def _narrow():
    return {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.02)}


def halvings(input_shape):
    """How often images of this size are halved: while both sides are even, and at least 8.

    Raises:
        ValueError: for fewer than two.
    """
    height, width, _ = input_shape
    count = 0
    while height % 2 == width % 2 == 0 and min(height, width) >= 8:
        height, width, count = height // 2, width // 2, count + 1
    if count < 2:
        raise ValueError(
            f"Images of {input_shape[0]}x{input_shape[1]} pixels can be halved {count} times without a remainder, and "
            "this network halves them at least twice: give a height and a width that 4 divides, 16 or more each."
        )
    return count


def _smallest(input_shape):
    """(height, width) after all halvings."""
    return tuple(size >> halvings(input_shape) for size in input_shape[:2])
