"""Augmentation for photographs, on whole batches in the input graph: crops, mirror images and colours."""

import math

import keras
import tensorflow as tf

LEAST_AREA = 0.5  # of the photograph that a crop keeps
WIDENING = math.log(4 / 3) / 2  # a crop is at most 4/3 as wide or as high as the photograph's shape would have it
COLOUR = 0.3  # brightness, contrast and saturation change by up to this share


def augment(images, seed):
    """uint8 [N, H, W, C] as they come out of `crop` and `colour`, as `seed`, int [2], decides."""
    seeds = tf.random.split(seed, 2)
    images = colour(crop(images, seeds[0]), seeds[1])
    return tf.saturate_cast(tf.round(images), tf.uint8)


def crop(images, seed):
    """float32: of each image a random part, stretched to the image's size, every other one mirrored."""
    count, height, width, _ = tf.unstack(tf.shape(images))
    seeds = tf.random.split(seed, 5)
    area = tf.random.stateless_uniform([count], seeds[0], LEAST_AREA, 1)
    widening = tf.exp(tf.random.stateless_uniform([count], seeds[1], -WIDENING, WIDENING))
    high, wide = tf.minimum(1.0, tf.sqrt(area) / widening), tf.minimum(1.0, tf.sqrt(area) * widening)
    last_row, last_column = tf.cast(height - 1, tf.float32), tf.cast(width - 1, tf.float32)
    top = last_row * (1 - high) * tf.random.stateless_uniform([count], seeds[2])
    left = last_column * (1 - wide) * tf.random.stateless_uniform([count], seeds[3])
    is_mirrored = tf.random.stateless_uniform([count], seeds[4]) < 0.5
    left, wide = tf.where(is_mirrored, left + last_column * wide, left), tf.where(is_mirrored, -wide, wide)
    none = tf.zeros([count])
    to_source = tf.stack([wide, none, left, none, high, top, none, none], axis=1)  # of (x, y), homogeneous
    return keras.ops.image.affine_transform(tf.cast(images, tf.float32), to_source)


def colour(images, seed):
    """float32: each image with another brightness, contrast and saturation; greyscale has no saturation."""
    count = tf.shape(images)[0]
    factors = 1 + tf.random.stateless_uniform([3, count, 1, 1, 1], seed, -COLOUR, COLOUR)
    images = images * factors[0]
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    images = mean + (images - mean) * factors[1]
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    return grey + (images - grey) * factors[2]
