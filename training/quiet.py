"""TensorFlow's start-up without its notes on oneDNN and absent GPUs."""

from zoo.quiet import stderr_to_nowhere


def import_tensorflow():
    """Imports TensorFlow and lets it look for devices; what its C++ prints meanwhile goes nowhere."""
    with stderr_to_nowhere():
        import tensorflow as tf

        tf.config.list_physical_devices()
