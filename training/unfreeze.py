"""The last layers of a pretrained network, trained on with its head at a low rate on augmented photographs."""

import sys
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

PATIENCE = 5  # epochs without a lower validation loss
WARMUP = 0.1  # share of all steps in which the learning rate rises
LEAST_AREA = 0.5  # of the photograph that a crop keeps
LEAST_ASPECT = 3 / 4  # and its reciprocal the most
COLOUR = 0.3  # brightness, contrast and saturation change by up to this share


class Losses(NamedTuple):
    """On the validation pictures, the head alone trained, and at the best epoch after."""

    before: float
    after: float


def unfreeze(model, count):
    """Makes the head and the last `count` layers with kernels before it trainable, and nothing else.

    Batch normalisation keeps its statistics, its scale and its shift: with few pictures new ones are worse.
    """
    layers = [layer for layer in leaves(model) if layer.weights]
    kernels = [layer for layer in layers if not isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:
        layer.trainable = False
    for layer in kernels[-(count + 1) :]:
        layer.trainable = True


def leaves(layer):
    """The layers below that have no layers of their own, in their order."""
    inner = getattr(layer, "layers", None)
    return [leaf for each in inner for leaf in leaves(each)] if inner else [layer]


def train(model, photographs, training, validation, weights, *, epochs, batch_size, learning_rate, seed, logs):
    """Trains what is trainable in `model` and leaves it with the weights of the lowest validation loss: Losses.

    Args:
        training, validation: indices of the pictures.
        weights: float32 [N], one for every picture of `photographs`.
        epochs: at most; the training stops early.
        learning_rate: the highest one of Adam's, which rises to it and falls to nothing along a cosine.
        logs: folder for TensorBoard.
    """
    steps = epochs * -(-len(training) // batch_size)
    warmup_steps = max(1, round(WARMUP * steps))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup_steps), warmup_target=learning_rate, warmup_steps=warmup_steps
    )
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
        jit_compile=False,  # as in recipes.py: slower on a CPU
    )
    held_out = batches(photographs, validation, weights, batch_size)
    untouched = model.get_weights()
    before = model.evaluate(held_out, verbose=0)[0]
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=PATIENCE, restore_best_weights=True)
    history = model.fit(
        augmented(batches(photographs, training, weights, batch_size, seed), photographs.image_shape, seed),
        validation_data=held_out,
        epochs=epochs,
        callbacks=[stopping, keras.callbacks.TensorBoard(logs, write_graph=False)],
        verbose=1 if sys.stdout.isatty() else 2,
    )
    after = min(history.history["val_loss"])
    if not after < before:
        model.set_weights(untouched)
    return Losses(before, after)


def batches(photographs, indices, weights, batch_size, seed=None):
    """tf.data.Dataset of (images uint8 [B, H, W, C], labels int32 [B], weights float32 [B]), shuffled with a seed."""
    rows = tf.data.Dataset.from_tensor_slices((indices, photographs.labels[indices], weights[indices]))
    if seed is not None:
        rows = rows.shuffle(len(indices), seed=seed)

    def read(indices, labels, weights):
        images = tf.numpy_function(photographs.images, [indices], tf.uint8)
        return tf.ensure_shape(images, (None, *photographs.image_shape)), labels, weights

    return rows.batch(batch_size).map(read, num_parallel_calls=2, deterministic=True).prefetch(2)


def augmented(dataset, image_shape, seed):
    """The batches with every photograph cropped, flipped and coloured anew each time."""
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)

    def augment_batch(batch, seed):
        images, labels, weights = batch
        return augment(images, seed), labels, weights

    return tf.data.Dataset.zip(dataset, seeds).map(augment_batch, num_parallel_calls=2, deterministic=True).prefetch(2)


def augment(images, seed):
    """uint8 [N, H, W, C] as they come out of `crop` and `colour`, as `seed`, int [2], decides."""
    seeds = tf.random.split(seed, 2)
    images = colour(crop(images, seeds[0]), seeds[1])
    return tf.saturate_cast(tf.round(images), tf.uint8)


def crop(images, seed):
    """float32: of each image a random part that keeps its size, every other one mirrored."""
    count, height, width, _ = images.shape[0] or tf.shape(images)[0], *images.shape[1:]
    seeds = tf.random.split(seed, 5)
    area = tf.random.stateless_uniform([count], seeds[0], LEAST_AREA, 1)
    widening = tf.exp(
        tf.random.stateless_uniform([count], seeds[1], np.log(LEAST_ASPECT) / 2, -np.log(LEAST_ASPECT) / 2)
    )
    high = tf.minimum(1.0, tf.sqrt(area) / widening)
    wide = tf.minimum(1.0, tf.sqrt(area) * widening)
    top = (1 - high) * tf.random.stateless_uniform([count], seeds[2])
    left = (1 - wide) * tf.random.stateless_uniform([count], seeds[3])
    is_mirrored = tf.random.stateless_uniform([count], seeds[4]) < 0.5
    start, end = tf.where(is_mirrored, left + wide, left), tf.where(is_mirrored, left, left + wide)
    boxes = tf.stack([top, start, top + high, end], axis=1)
    return tf.image.crop_and_resize(images, boxes, tf.range(count), (height, width))


def colour(images, seed):
    """float32: each image with another brightness, contrast and saturation; greyscale has no saturation."""
    count = tf.shape(images)[0]
    factors = 1 + tf.random.stateless_uniform([3, count, 1, 1, 1], seed, -COLOUR, COLOUR)
    images = images * factors[0]
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    images = mean + (images - mean) * factors[1]
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    return grey + (images - grey) * factors[2]
