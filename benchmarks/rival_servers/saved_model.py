"""What every rival serves: a SavedModel's signature through TensorFlow, and how it was asked to.

These files run in the rivals' own environments, which have nothing of this project.
"""

import os
from typing import NamedTuple


class Settings(NamedTuple):
    """How a rival is to serve: `workers` processes, `threads` of TensorFlow in each, and what bounds a batch."""

    path: str
    port: int
    side_port: int
    workers: int
    threads: int
    rows: int
    wait_ms: float


def settings():
    """From the variables that benchmarks.rivals sets; a server's workers see them too."""
    return Settings(*(kind(os.environ[f"RIVAL_{name.upper()}"]) for name, kind in Settings.__annotations__.items()))


def load(path, threads):
    """The function from images uint8 [N, 28, 28, 1] to probabilities float32 [N, 10]."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    model = tf.saved_model.load(path)
    run = model.signatures["serving_default"]

    def probabilities(images, _=model):  # a signature does not keep its model's variables alive
        return run(images=tf.constant(images, tf.uint8))["probabilities"].numpy()

    return probabilities
