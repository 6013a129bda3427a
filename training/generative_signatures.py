"""The signatures of exported generative networks: images are uint8, codes and noise float32."""

import keras
import numpy as np
import tensorflow as tf

from training.signatures import Signature


def vae_signatures(network):
    """Of a `zoo.generative.conv_vae`: images to their reconstructions, images to codes, codes to images."""
    encoder, decoder = network.get_layer("encoder"), network.get_layer("decoder")
    images, image = spec("images", encoder, "uint8")
    latents, code = spec("latents", decoder, "float32")

    def reconstruct(images):
        return {"reconstructions": to_pixels(network(images, training=False))}

    def encode(images):
        mean, log_variance = encoder(images, training=False)
        return {"latents": mean, "log_variance": log_variance}

    def decode(latents):
        return {"images": to_pixels(decoder(latents, training=False))}

    return [
        Signature("serving_default", reconstruct, [images], network, image),
        Signature("encode", encode, [images], encoder, image),
        Signature("decode", decode, [latents], decoder, code),
    ]


def gan_signatures(generator):
    """Of the generator of a `zoo.generative.dcgan`: noise to images."""
    latents, noise = spec("latents", generator, "float32")

    def serve(latents):
        return {"images": to_pixels(generator(latents, training=False))}

    return [Signature("serving_default", serve, [latents], generator, noise)]


def spec(name, model, dtype):
    """(the InputSpec of the input called `name` of `model`, one request of it)."""
    shape = model.input_shape[1:]
    return keras.InputSpec(shape=(None, *shape), dtype=dtype, name=name), {name: np.zeros((1, *shape), dtype)}


def to_pixels(images):
    """Float images 0..255 as uint8."""
    return tf.cast(tf.round(tf.clip_by_value(images, 0, 255)), tf.uint8)
