"""How networks are trained: one frozen dataclass, one named row of values for each recipe."""

import dataclasses
import difflib


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a training does, apart from the network and the data.

    `weight_decay` w takes w times each kernel (and no bias) away, with "sgd" through the gradient, as the papers
    write it, with "adamw" apart from it. `dropout` multiplies the network's own dropout rates: they are set for
    hundreds of epochs, and in a dozen cost more than they give.
    """

    epochs: int
    batch_size: int
    learning_rate: float  # the highest of the schedule
    optimizer: str  # "adamw" or "sgd", with momentum 0.9
    schedule: str  # "cosine", after a rise in the first fifth, or "steps", a tenth after each of MILESTONES
    weight_decay: float
    inputs: str  # "unit", "standard" or "zca": see training/inputs.py
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    dropout: float = 0.0
    flip: bool = True
    shift: int = 0  # pixels, to each side


WARMUP = 0.2
MILESTONES = (200 / 350, 250 / 350, 300 / 350)  # of Springenberg et al., for any number of epochs

RECIPES = {
    "fast": Recipe(
        epochs=7,
        batch_size=128,
        learning_rate=0.004,
        optimizer="adamw",
        schedule="cosine",
        weight_decay=0.02,
        inputs="standard",
        label_smoothing=0.1,
    ),
    # https://arxiv.org/abs/1412.6806, section 3.1; clipping makes its learning rate safe for all twelve networks
    "paper": Recipe(
        epochs=350,
        batch_size=128,
        learning_rate=0.05,
        optimizer="sgd",
        schedule="steps",
        weight_decay=0.001,
        inputs="zca",
        clip_norm=1.0,
        dropout=1.0,
        shift=5,
    ),
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
    """Gives `model` the optimizer, loss and dropout of `recipe`, for a training of `steps` steps in all."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate *= recipe.dropout
    model.compile(
        optimizer(model, recipe, learning_rate(recipe, steps)),
        keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
        jit_compile=False,  # XLA on a CPU: 0.4 to 0.7 of the images a second of TensorFlow's own kernels
    )


def learning_rate(recipe, steps):
    from keras.optimizers import schedules

    if recipe.schedule == "steps":
        boundaries = [round(share * steps) for share in MILESTONES]
        return schedules.PiecewiseConstantDecay(boundaries, [recipe.learning_rate * 0.1**at for at in range(4)])
    rise = round(WARMUP * steps)
    return schedules.CosineDecay(0.0, max(1, steps - rise), warmup_target=recipe.learning_rate, warmup_steps=rise)


def optimizer(model, recipe, rate):
    import keras

    if recipe.optimizer == "sgd":
        for weight in model.trainable_weights:
            if len(weight.shape) > 1:
                weight.regularizer = keras.regularizers.L2(recipe.weight_decay / 2)  # its gradient is twice its factor
        return keras.optimizers.SGD(rate, momentum=0.9, global_clipnorm=recipe.clip_norm)
    adamw = keras.optimizers.AdamW(rate, recipe.weight_decay, beta_2=0.98, global_clipnorm=recipe.clip_norm)
    adamw.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return adamw
