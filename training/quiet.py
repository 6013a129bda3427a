"""TensorFlow without its notes on oneDNN and absent GPUs, and on functions that are traced anew."""

from zoo.quiet import stderr_to_nowhere


def import_tensorflow():
    """Imports TensorFlow and lets it look for devices; what its C++ prints meanwhile goes nowhere."""
    with stderr_to_nowhere():
        import tensorflow as tf

        tf.config.list_physical_devices()
    tf.get_logger().addFilter(is_no_retracing)


def is_no_retracing(record):
    """A program that makes one model after the other traces a function of Keras's for each, which cannot be helped."""
    return "triggered tf.function retracing" not in record.getMessage()
