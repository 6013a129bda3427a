"""TensorFlow's start-up without its notes on oneDNN and absent GPUs, which no environment variable silences."""

import contextlib
import os
import sys


def import_tensorflow():
    """Imports TensorFlow and lets it look for devices; what its C++ prints meanwhile goes nowhere."""
    with stderr_to_nowhere():
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def stderr_to_nowhere():
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
