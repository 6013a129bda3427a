"""What a network sees of the pixels: layers fitted to the training images, part of the model and so of its export.

Clients send uint8 whatever the recipe.
"""

import keras
import numpy as np

EPSILON = 1e-8


def front(kind, images):
    """A function that gives new layers for `zoo.build`'s `front`, fitted to `images` uint8 [N, H, W, C].

    Args:
        kind: "unit", nothing: pixels 0..1; "standard", each channel with mean 0 and variance 1 over the training
            images; "zca", contrast normalisation and ZCA whitening.
    """
    if kind == "unit":
        return tuple
    if kind == "standard":
        mean = images.mean(axis=(0, 1, 2), dtype="float64") / 255
        variance = images.var(axis=(0, 1, 2), dtype="float64") / 255**2
        return lambda: (keras.layers.Normalization(mean=mean, variance=variance + EPSILON, name="standardize"),)
    mean, matrix = whitening(images)

    def contrast_zca():
        layer = ContrastZca(name="contrast_zca")
        layer.build((None, *images.shape[1:]))
        layer.mean.assign(mean)
        layer.matrix.assign(matrix)
        return (layer,)

    return contrast_zca


@keras.saving.register_keras_serializable("convzoo")
class ContrastZca(keras.layers.Layer):
    """Images [N, H, W, C] contrast-normalised, then whitened: (contrast(x) - mean) @ matrix, of the same shape.

    Computed in float32 whatever the policy. The matrix is [HWC, HWC]: 37.7 MB for 32x32x3.
    """

    def build(self, input_shape):
        size = int(np.prod(input_shape[1:]))
        self.mean = self.add_weight(name="mean", shape=(size,), initializer="zeros", trainable=False)
        self.matrix = self.add_weight(name="matrix", shape=(size, size), initializer="zeros", trainable=False)
        self.built = True

    def call(self, images):
        shape = (-1, *images.shape[1:])
        white = keras.ops.matmul(contrast(images) - self.mean.value, self.matrix.value)
        return keras.ops.cast(keras.ops.reshape(white, shape), self.compute_dtype)


def contrast(images, norm=55.0):
    """float32 [N, HWC]: each image less its mean, scaled to a norm of 55 (about one a value at 32x32x3).

    Source: the preprocessing of maxout networks, https://arxiv.org/abs/1302.4389, which the all-convolutional paper
    takes over.
    """
    flat = keras.ops.reshape(keras.ops.cast(images, "float32"), (-1, int(np.prod(images.shape[1:]))))
    flat = flat - keras.ops.mean(flat, axis=1, keepdims=True)
    return norm * flat / (keras.ops.norm(flat, axis=1, keepdims=True) + EPSILON)


def whitening(images, bias=0.1, chunk=2000):
    """(mean [D], ZCA matrix [D, D]) of the contrast-normalised `images`; `bias` is added to every eigenvalue."""
    size = int(np.prod(images.shape[1:]))
    total, products = np.zeros(size), np.zeros((size, size))
    for at in range(0, len(images), chunk):
        values = np.asarray(contrast(images[at : at + chunk]))
        total += values.sum(axis=0)
        products += values.T @ values
    mean = total / len(images)
    eigenvalues, vectors = np.linalg.eigh(products / len(images) - np.outer(mean, mean))
    return mean, (vectors / np.sqrt(np.maximum(eigenvalues, 0) + bias)) @ vectors.T
