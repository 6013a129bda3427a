"""Keras's start without TensorFlow's notes on oneDNN and absent GPUs, which no environment variable silences."""

import contextlib
import os
import sys


def import_keras():
    """Imports Keras and lets it look for devices; what TensorFlow's C++ prints meanwhile goes nowhere."""
    with stderr_to_nowhere():
        import keras

        keras.distribution.list_devices()


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
