"""Schedules of the learning rate, and what airbench (https://arxiv.org/abs/2404.00498) adds to Keras's SGD."""

import keras
from keras import ops
from keras.optimizers import schedules

from training.initial import SCORE_LAYERS

WARMUP = 0.2
MILESTONES = (200 / 350, 250 / 350, 300 / 350)  # of Springenberg et al., for any number of epochs
FIRST, PEAK_AT, LAST = 0.2, 0.23, 0.07  # of the triangle: its ends as shares of its peak, and where that is
LOOKAHEAD_EVERY = 5  # steps


def schedule(kind, highest, steps):
    """The learning rate over a training of `steps`: "cosine", "steps" or "triangular"; see training/recipes.py."""
    if kind == "steps":
        boundaries = [round(share * steps) - 1 for share in MILESTONES]  # the last steps at the rate before
        return schedules.PiecewiseConstantDecay(boundaries, [highest * 0.1**at for at in range(4)])
    if kind == "triangular":
        return Triangular(highest, steps)
    rise = round(WARMUP * steps)
    return schedules.CosineDecay(0.0, max(1, steps - rise), warmup_target=highest, warmup_steps=rise)


@keras.saving.register_keras_serializable("convzoo")
class Triangular(schedules.LearningRateSchedule):
    """In straight lines from FIRST of `highest` up to it at PEAK_AT of `steps`, and down to LAST of it."""

    def __init__(self, highest, steps):
        self.highest = highest
        self.steps = steps

    def __call__(self, step):
        at = ops.cast(step, "float32") / self.steps
        rise = FIRST + (1 - FIRST) * at / PEAK_AT
        fall = 1 - (1 - LAST) * (at - PEAK_AT) / (1 - PEAK_AT)
        return self.highest * ops.minimum(rise, fall)

    def get_config(self):
        return {"highest": self.highest, "steps": self.steps}


@keras.saving.register_keras_serializable("convzoo")
class SGD(keras.optimizers.SGD):
    """Keras's SGD with three additions.

    Args:
        norm_bias_rate: multiplies the learning rate of batch normalisations' biases.
        score_rate: multiplies the learning rate of the layer that gives the class scores.
        lookahead_steps: of the whole training, for lookahead (https://arxiv.org/abs/1907.08610); None for none. Every
            LOOKAHEAD_EVERY steps the weights are replaced by their running mean, which after step t of T keeps
            0.95^LOOKAHEAD_EVERY (t / T)^3 of what it was; at the end they stay at the mean. It begins as what the
            weights are at its first step.
    """

    def __init__(self, *args, norm_bias_rate=1.0, score_rate=1.0, lookahead_steps=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.norm_bias_rate = norm_bias_rate
        self.score_rate = score_rate
        self.lookahead_steps = lookahead_steps

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.rates = [self.rate_of(variable.path) for variable in variables]
        self.means = self.add_optimizer_variables(variables, "mean") if self.lookahead_steps else []

    def rate_of(self, path):
        layer, _, weight = path.rpartition("/")
        if layer.rpartition("/")[2] in SCORE_LAYERS:
            return self.score_rate
        return self.norm_bias_rate if weight == "beta" else 1.0

    def update_step(self, gradient, variable, learning_rate):
        at = self._get_variable_index(variable)
        super().update_step(gradient, variable, learning_rate * self.rates[at])
        if self.lookahead_steps:
            self.look_ahead(variable, self.means[at])

    def look_ahead(self, variable, mean):
        step = self.iterations + 1
        kept = 0.95**LOOKAHEAD_EVERY * (ops.cast(step, variable.dtype) / self.lookahead_steps) ** 3
        is_last = ops.equal(step, self.lookahead_steps)
        is_due = ops.logical_or(ops.equal(step % LOOKAHEAD_EVERY, 0), is_last)
        kept = ops.where(is_last, ops.cast(1, variable.dtype), kept)
        kept = ops.where(ops.less_equal(step, LOOKAHEAD_EVERY), ops.cast(0, variable.dtype), kept)
        self.assign(mean, ops.where(is_due, kept * mean + (1 - kept) * variable, mean))
        self.assign(variable, ops.where(is_due, mean, variable))

    def get_config(self):
        return super().get_config() | {
            "norm_bias_rate": self.norm_bias_rate,
            "score_rate": self.score_rate,
            "lookahead_steps": self.lookahead_steps,
        }
