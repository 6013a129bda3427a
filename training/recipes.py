"""How networks are trained: one frozen dataclass, one named row of values for each recipe.

Every field is a switch of `training.train`'s command line of its own.
"""

import dataclasses
from typing import Annotated, Literal

import tyro

from training import checks
from training.errors import InputError
from zoo.spelling import did_you_mean


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a training does, apart from the network and the data."""

    name: Annotated[str, tyro.conf.arg(name="recipe")]
    """which recipe of training/recipes.py all the options of how to train start from"""
    epochs: int
    """passes over the training images"""
    batch_size: int
    """images per step"""
    learning_rate: float
    """the highest one of the schedule"""
    optimizer: Literal["adamw", "sgd"]
    """sgd has a momentum"""
    schedule: Literal["cosine", "steps", "triangular"]
    """of the learning rate: cosine, after a rise in the first fifth; a tenth of it after 200, 250 and 300 of 350
    epochs; or from a fifth of it up to it in the first 23%, and down to 7% of it"""
    weight_decay: float
    """so many times each kernel, and no bias, is taken away: with sgd through the gradient, as the papers write it,
    with adamw apart from it"""
    inputs: Literal["unit", "standard", "zca", "patches"]
    """what the network sees of the pixels: 0..1; each channel with mean 0 and variance 1; contrast-normalised and
    ZCA-whitened images; or a frozen first layer that whitens patches of 2x2 pixels"""
    momentum: float = 0.9
    """of sgd"""
    nesterov: bool = False
    """whether sgd looks one step ahead"""
    clip_norm: float | None = None
    """the longest that all gradients together may be"""
    norm_bias_rate: float = 1.0
    """multiplies sgd's learning rate for the biases of batch normalisation"""
    score_scale: float = 1.0
    """the layer of the class scores starts, and with sgd learns, as if the scores were multiplied by this"""
    lookahead: bool = False
    """whether sgd's weights are drawn every five steps towards their running mean, the more the later"""
    identity: bool = False
    """whether each convolution starts by handing its input on, in as many filters as the input has channels"""
    label_smoothing: float = 0.0
    """how much of each label's certainty is shared out among all classes"""
    dropout: float = 0.0
    """multiplies the network's own dropout rates: they are set for hundreds of epochs, and in a dozen cost more than
    they give"""
    flips: Literal["none", "random", "alternating"] = "random"
    """which images are mirrored: half of them, drawn in every epoch or drawn in the first and changed in each"""
    shift: int = 0
    """most pixels that images are shifted by, to each side"""
    cutout: int = 0
    """height and width, in pixels, of a square that is hidden somewhere in each image"""
    low_resolution_share: float = 0.0
    """share of the epochs, from the first on, that see the images at three quarters of their height and width, in about
    two thirds of the time"""
    test_time_augmentation: bool = False
    """whether to tell, beside the accuracy of the network as it is served, that of its mean over mirrored and shifted
    copies of each image"""

    def __post_init__(self):
        checks.positive(self, "epochs", "batch_size", "learning_rate", "clip_norm", "score_scale")
        checks.not_negative(self, "shift", "cutout", "weight_decay", "norm_bias_rate", "dropout")
        checks.below_one(self, "momentum", "label_smoothing")
        if not 0 <= self.low_resolution_share <= 1:
            raise ValueError(f"low_resolution_share must be from 0 to 1, got {self.low_resolution_share}.")
        if self.low_resolution_share and self.inputs == "zca":
            raise ValueError("low_resolution_share must be 0 with inputs zca, which whitens images of one size.")
        if self.optimizer != "sgd" and (self.lookahead or self.nesterov or self.norm_bias_rate != 1):
            raise ValueError(f"lookahead, nesterov and norm_bias_rate are of sgd, got optimizer {self.optimizer}.")


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="fast",
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
        Recipe(
            name="paper",
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
        # https://arxiv.org/abs/2404.00498, in Keras's terms: for a mean loss; for networks with batch normalisation
        Recipe(
            name="airbench",
            epochs=12,
            batch_size=1024,
            learning_rate=1.5,
            optimizer="sgd",
            schedule="triangular",
            weight_decay=0.00133,
            inputs="patches",
            momentum=0.85,
            nesterov=True,
            norm_bias_rate=64.0,
            score_scale=1 / 9,
            lookahead=True,
            identity=True,
            label_smoothing=0.2,
            flips="alternating",
            shift=2,
            test_time_augmentation=True,
        ),
    )
}


def recipe(name, **changes):
    """The recipe called `name`, with `changes` to its fields.

    Raises:
        ValueError: with the nearest name and all names, or the field at fault.
    """
    if name in RECIPES:
        return dataclasses.replace(RECIPES[name], **changes)
    raise ValueError(f"Unknown recipe {name!r}.{did_you_mean(name, RECIPES)} Known recipes: {', '.join(RECIPES)}.")


def compile_for_training(model, recipe, steps):
    """Gives `model` the first weights, optimizer, loss and dropout of `recipe`, for a training of `steps` in all."""
    import keras

    from training.initial import scale_scores, start_as_identity

    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = dropout_rate(layer, recipe.dropout)
    if recipe.identity:
        start_as_identity(model)
    scale_scores(model, recipe.score_scale)
    model.compile(
        optimizer(model, recipe, steps),
        keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
        jit_compile=False,  # XLA on a CPU: 0.4 to 0.7 of the images a second of TensorFlow's own kernels
    )


def dropout_rate(layer, factor):
    if layer.rate * factor >= 1:
        raise InputError(
            f"dropout {factor:g} multiplies the rate {layer.rate:g} of {layer.name} to {layer.rate * factor:g}, and "
            "rates are below 1. Give a lower --dropout."
        )
    return layer.rate * factor


def optimizer(model, recipe, steps):
    import keras

    from training import optimizers

    rate = optimizers.schedule(recipe.schedule, recipe.learning_rate, steps)
    if recipe.optimizer == "sgd":
        for weight in model.trainable_weights:
            if len(weight.shape) > 1:
                weight.regularizer = keras.regularizers.L2(recipe.weight_decay / 2)  # its gradient is twice its factor
        return optimizers.SGD(
            rate,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            global_clipnorm=recipe.clip_norm,
            norm_bias_rate=recipe.norm_bias_rate,
            score_rate=recipe.score_scale**2,
            lookahead_steps=steps if recipe.lookahead else None,
        )
    adamw = keras.optimizers.AdamW(rate, recipe.weight_decay, beta_2=0.98, global_clipnorm=recipe.clip_norm)
    adamw.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return adamw
