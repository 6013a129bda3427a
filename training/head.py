"""Logistic regression on features, fitted to convergence with Keras's own optimizer: no learning rate to choose.

The curvature of the loss is nowhere above half that of least squares (Böhning, 1992). In coordinates in which that
bound is the identity, steps of learning rate 1 cannot overshoot, however badly scaled the features are.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from training.progress import progress

PENALTIES = (1.0, 0.1, 1e-2, 1e-3, 1e-4)  # times half the squared kernel, of features of unit deviation
TOLERANCE = 1e-4  # of the gradient, in coordinates in which a step is as long as its gradient
MAX_STEPS = 5000


class Head(NamedTuple):
    """Class scores are `features @ kernel + bias`: float32 [D, K] and [K]."""

    kernel: np.ndarray
    bias: np.ndarray

    def probabilities(self, features):
        scores = features @ self.kernel + self.bias
        return keras.ops.convert_to_numpy(keras.ops.softmax(scores))


def best_head(training, validation, num_classes):
    """(the Head whose penalty does best on `validation`, that penalty).

    `training` and `validation` are (features float32 [N, D], labels int32 [N], weights float32 [N]).
    """
    features, labels, weights = validation
    done = progress("Fitting the classifier", len(PENALTIES), "penalty")
    heads = {}
    for penalty in PENALTIES:
        heads[penalty] = fit(*training, num_classes, penalty)
        done(len(heads))
    losses = {penalty: log_loss(head.probabilities(features), labels, weights) for penalty, head in heads.items()}
    best = min(losses, key=losses.get)
    return heads[best], best


def class_weights(labels, num_classes):
    """float32 [K] by which every class weighs the same in all, and a picture 1 on average."""
    counts = np.bincount(labels, minlength=num_classes)
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(np.float32)


def log_loss(probabilities, labels, weights):
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-(weights * np.log(np.maximum(chosen, 1e-7))).sum() / weights.sum())


def fit(features, labels, weights, num_classes, penalty):
    """The Head with the least weighted loss plus penalty/2 times its squared kernel.

    The penalty is on the kernel of features scaled to unit deviation; the bias is free.
    """
    weights = weights.astype(np.float64) / weights.sum()
    mean = weights @ features
    deviation = np.sqrt(weights @ np.square(features - mean))
    deviation[deviation <= 1e-6 * np.abs(mean)] = 1  # constant but for rounding
    x = np.column_stack([(features - mean) / deviation, np.ones(len(features))]).astype(np.float32)
    solution = minimise(x, labels, weights.astype(np.float32), num_classes, penalty)
    kernel = solution[:-1] / deviation[:, None]
    return Head(kernel.astype(np.float32), (solution[-1] - mean @ kernel).astype(np.float32))


def minimise(x, labels, weights, num_classes, penalty):
    """The kernel [D, K] for `x` [N, D], whose last column is 1 and has the bias in the kernel's last row."""
    penalties = np.array([penalty] * (x.shape[1] - 1) + [0])
    bound = (x * weights[:, None]).T.astype(np.float64) @ x / 2 + np.diag(penalties)
    to_kernel = tf.constant(np.linalg.inv(np.linalg.cholesky(bound)).T, tf.float32)
    x, labels, weights = tf.constant(x), tf.constant(labels), tf.constant(weights)
    place = keras.Variable(keras.ops.zeros((x.shape[1], num_classes)), dtype="float32")
    optimizer = keras.optimizers.SGD(1.0, momentum=0.9, nesterov=True)
    optimizer.build([place])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            kernel = to_kernel @ place.value
            losses = keras.ops.sparse_categorical_crossentropy(labels, x @ kernel, from_logits=True)
            loss = keras.ops.sum(weights * losses) + penalty / 2 * keras.ops.sum(keras.ops.square(kernel[:-1]))
        gradient = tape.gradient(loss, place.value)
        optimizer.apply([gradient], [place])
        return keras.ops.norm(gradient)

    for _ in range(MAX_STEPS):
        if step() < TOLERANCE:
            break
    return (to_kernel @ place.value).numpy()
