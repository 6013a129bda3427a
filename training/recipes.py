"""How networks are trained: one frozen dataclass, one named row of values for each recipe."""

import dataclasses
import difflib


@dataclasses.dataclass(frozen=True)
class Recipe:
    """SGD with Nesterov momentum whose learning rate rises to its peak and falls to nothing along a cosine.

    `weight_decay` w adds w times each kernel to its gradient, as the papers write it. `dropout` multiplies the
    network's own dropout rates: they are set for hundreds of epochs, and in a dozen cost more than they give.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    warmup: float = 0.2  # share of all steps in which the learning rate rises
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip_norm: float | None = 1.0
    label_smoothing: float = 0.0
    dropout: float = 0.0
    flip: bool = True
    shift: int = 0  # pixels, to each side


RECIPES = {
    "fast": Recipe(epochs=12, batch_size=128, learning_rate=0.05),
}


def recipe(name):
    """The recipe called `name`.

    Raises:
        ValueError: with the nearest name and all names.
    """
    if name in RECIPES:
        return RECIPES[name]
    close = difflib.get_close_matches(name, RECIPES, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"Unknown recipe {name!r}.{hint} Known recipes: {', '.join(RECIPES)}.")


def compile_for_training(model, recipe, steps):
    """Gives `model` the optimizer, loss and regularisation of `recipe`, for a training of `steps` steps in all."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate *= recipe.dropout
    for weight in model.trainable_weights:
        if len(weight.shape) > 1:  # kernels; biases and batch normalisation stay free
            weight.regularizer = keras.regularizers.L2(recipe.weight_decay / 2)  # whose gradient is twice its factor
    warmup_steps = round(recipe.warmup * steps)
    learning_rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup_steps), warmup_target=recipe.learning_rate, warmup_steps=warmup_steps
    )
    model.compile(
        keras.optimizers.SGD(learning_rate, recipe.momentum, nesterov=True, global_clipnorm=recipe.clip_norm),
        keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
        jit_compile=False,  # XLA on a CPU: 0.4 to 0.7 of the images a second of TensorFlow's own kernels
    )
