"""Progressive resolution: the first epochs of a training see smaller images, which cost less.

Source: https://arxiv.org/abs/2104.00298, section 4; here with one change of size.
"""

import keras

from training.errors import InputError


def at_size(model, size):
    """`model`, compiled, for images of height and width `size`, None for its own: the same layers and optimizer.

    Raises:
        InputError: its layers want one size.
    """
    if size is None:
        return model
    images = keras.Input((*size, model.input_shape[-1]), dtype=model.input.dtype)
    try:
        smaller = keras.models.clone_model(model, input_tensors=images, clone_function=lambda layer: layer)
    except ValueError as error:
        why = str(error).strip().splitlines()[0]
        raise InputError(
            f"{model.name} cannot be trained on images of {size[0]}x{size[1]} first ({why}); "
            "give --low_resolution_share 0."
        ) from error
    metrics = [keras.metrics.CategoricalAccuracy("accuracy")]
    smaller.compile(model.optimizer, model.loss, metrics=metrics, jit_compile=model.jit_compile)
    return smaller
