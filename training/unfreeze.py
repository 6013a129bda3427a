"""The last layers of a pretrained network, trained on with its head at a low rate on augmented photographs."""

import sys
from typing import NamedTuple

import keras
import tensorflow as tf

from training.photo_augmentation import augment

PATIENCE = 8
WARMUP = 0.1  # share of all steps in which the learning rate rises


class Losses(NamedTuple):
    """On the validation pictures, the head alone trained, and at the best epoch after."""

    before: float
    after: float


def unfreeze(model, count):
    """Makes the head and the last `count` layers with kernels before it trainable, and nothing else.

    Normalisations keep their statistics, scale and shift: what few pictures would make of those is worse. What was
    frozen before stays so.
    """
    layers = leaves(model)
    kernels = [layer for layer in layers if layer.trainable and any(len(weight.shape) > 1 for weight in layer.weights)]
    for layer in layers:
        layer.trainable = layer in kernels[-(count + 1) :]


def leaves(layer):
    """The layers below that have no layers of their own, in their order."""
    inner = getattr(layer, "layers", None)
    return [leaf for each in inner for leaf in leaves(each)] if inner else [layer]


def train(model, photographs, parts, weights, *, epochs, batch_size, learning_rate, seed, logs, patience=PATIENCE):
    """Trains what is trainable in `model` and leaves it with the weights of the lowest validation loss: Losses.

    Args:
        weights: float32 [N], one for every picture of `photographs`.
        epochs: at most; the training stops early.
        learning_rate: the highest one of Adam's, which rises to it and falls to nothing along a cosine.
        logs: folder for TensorBoard.
        patience: epochs without a lower validation loss after which it stops.
    """
    compile_for(model, epochs * -(-len(parts.training) // batch_size), learning_rate)
    held_out = batches(photographs, parts.validation, weights, batch_size)
    untouched = model.get_weights()
    before = model.evaluate(held_out, verbose=0)[0]
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True)
    history = model.fit(
        augmented(batches(photographs, parts.training, weights, batch_size, seed), seed),
        validation_data=held_out,
        epochs=epochs,
        shuffle=False,  # the batches are
        callbacks=[stopping, keras.callbacks.TensorBoard(logs, write_graph=False)],
        verbose=1 if sys.stdout.isatty() else 2,
    )
    after = min(history.history["val_loss"])
    if not after < before:
        model.set_weights(untouched)
    return Losses(before, after)


def compile_for(model, steps, learning_rate):
    """Gives `model` its loss and optimizer for a training of `steps` steps in all."""
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


def batches(photographs, indices, weights, batch_size, seed=None):
    """tf.data.Dataset of (images uint8 [B, H, W, C], labels int32 [B], weights float32 [B]), shuffled with a seed."""
    rows = tf.data.Dataset.from_tensor_slices((indices, photographs.labels[indices], weights[indices]))
    if seed is not None:
        rows = rows.shuffle(len(indices), seed=seed)

    def read(indices, labels, weights):
        images = tf.numpy_function(photographs.images, [indices], tf.uint8)
        return tf.ensure_shape(images, (None, *photographs.image_shape)), labels, weights

    return rows.batch(batch_size).map(read, num_parallel_calls=2, deterministic=True).prefetch(2)


def augmented(dataset, seed):
    """The batches with every photograph cropped, flipped and coloured anew each time."""
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)

    def augment_batch(batch, seed):
        images, labels, weights = batch
        return augment(images, seed), labels, weights

    return tf.data.Dataset.zip(dataset, seeds).map(augment_batch, num_parallel_calls=2, deterministic=True).prefetch(2)
