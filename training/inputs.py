"""What a network sees of the pixels: layers fitted to the training images, part of the model and so of its export.

Clients send uint8 whatever the recipe.
"""

import keras
import numpy as np

EPSILON = 1e-8
NORM = 55.0  # of a contrast-normalised image: about one a value at 32x32x3
ZCA_BIAS = 0.1  # added to every eigenvalue
CHUNK = 500  # images at a time, for their memory
PATCH = 2  # pixels: height and width of what the whitening convolution sees
PATCH_IMAGES = 5000  # so many tell how the pixels of a patch vary


def front(kind, images):
    """A function that gives new layers for `zoo.build`'s `front`, fitted to `images` uint8 [N, H, W, C].

    Args:
        kind: "unit", nothing: pixels 0..1; "standard", each channel with mean 0 and variance 1 over the training
            images; "zca", contrast normalisation and ZCA whitening; "patches", a frozen convolution after "standard"
            whose filters whiten patches of 2x2 pixels.
    """
    return FRONTS[kind](images)


def unit(images):
    return tuple


def standard(images):
    mean, covariance = moments(chunk.reshape(-1, images.shape[-1]) / 255 for chunk in chunks(images))
    variance = covariance.diagonal()
    return lambda: (keras.layers.Normalization(mean=mean, variance=variance + EPSILON, name="standardize"),)


def zca(images):
    mean, matrix = whitening(images)

    def contrast_zca():
        layer = ContrastZca(name="contrast_zca")
        layer.build((None, *images.shape[1:]))
        layer.mean.assign(mean)
        layer.matrix.assign(matrix)
        return (layer,)

    return contrast_zca


def patches(images):
    standardize = standard(images)
    [layer] = standardize()
    filters = patch_filters(np.asarray(layer(images[:PATCH_IMAGES] / np.float32(255))))

    def whiten_patches():
        whiten = keras.layers.Conv2D(
            filters.shape[-1], PATCH, use_bias=False, activation="relu", trainable=False, name="whiten_patches"
        )
        whiten.build((None, *images.shape[1:]))
        whiten.set_weights([filters])
        return (*standardize(), whiten)

    return whiten_patches


FRONTS = {"unit": unit, "standard": standard, "zca": zca, "patches": patches}


@keras.saving.register_keras_serializable("convzoo")
class ContrastZca(keras.layers.Layer):
    """Images [N, H, W, C] contrast-normalised, then whitened: (contrast(x) - mean) @ matrix, of the same shape.

    Computed in float32 whatever the policy. The matrix is [HWC, HWC]: 37.7 MB for 32x32x3.
    """

    def __init__(self, **given):
        super().__init__(**{**given, "dtype": "float32"})

    def build(self, input_shape):
        size = int(np.prod(input_shape[1:]))
        self.mean = self.add_weight(name="mean", shape=(size,), initializer="zeros", trainable=False)
        self.matrix = self.add_weight(name="matrix", shape=(size, size), initializer="zeros", trainable=False)
        self.built = True

    @property
    def multiply_adds(self):
        """Of one image in the product with the matrix, for `zoo.account`."""
        return self.matrix.shape[0] ** 2

    def call(self, images):
        shape = (-1, *images.shape[1:])
        white = keras.ops.matmul(contrast(images) - self.mean, self.matrix)
        return keras.ops.reshape(white, shape)


def contrast(images):
    """float32 [N, HWC]: each image less its mean, scaled to the norm NORM.

    Source: the preprocessing of maxout networks, https://arxiv.org/abs/1302.4389, which the all-convolutional paper
    takes over.
    """
    flat = keras.ops.reshape(keras.ops.cast(images, "float32"), (-1, int(np.prod(images.shape[1:]))))
    flat = flat - keras.ops.mean(flat, axis=1, keepdims=True)
    return NORM * flat / (keras.ops.norm(flat, axis=1, keepdims=True) + EPSILON)


def whitening(images):
    """(mean [D], ZCA matrix [D, D]) of the contrast-normalised `images`."""
    mean, covariance = moments(np.asarray(contrast(chunk)) for chunk in chunks(images))
    eigenvalues, vectors = np.linalg.eigh(covariance)
    return mean, (vectors / np.sqrt(np.maximum(eigenvalues, 0) + ZCA_BIAS)) @ vectors.T


def chunks(images):
    for at in range(0, len(images), CHUNK):
        yield images[at : at + CHUNK]


def moments(parts):
    """(mean [D], covariance [D, D]), float64, of all rows of `parts`, each [M, D]."""
    count, total, products = 0, 0.0, 0.0
    for values in parts:
        count += len(values)
        total += values.sum(axis=0, dtype="float64")
        products += (values.T @ values).astype("float64")
    mean = total / count
    return mean, products / count - np.outer(mean, mean)


def patch_filters(images, bias=5e-4):
    """Filters float32 [2, 2, C, 8C] that whiten the patches of `images`, float32 [N, H, W, C], and their negatives.

    Each is a principal component of the patches, divided by its standard deviation; `bias` is added to every
    variance. After ReLU the pairs have all that the patch had. Source: https://arxiv.org/abs/2404.00498, section 3.2.
    """
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), axis=(1, 2))  # [N, h, w, C, 2, 2]
    windows = windows.transpose(0, 1, 2, 4, 5, 3)
    _, covariance = moments(chunk.reshape(-1, PATCH**2 * images.shape[-1]) for chunk in chunks(windows))
    eigenvalues, vectors = np.linalg.eigh(covariance)
    filters = (vectors / np.sqrt(np.maximum(eigenvalues, 0) + bias)).reshape(PATCH, PATCH, images.shape[-1], -1)
    return np.concatenate([filters, -filters], axis=-1).astype(np.float32)
