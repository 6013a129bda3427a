"""Means over a few trainings, with the intervals that so few allow."""

import math
from typing import NamedTuple

import numpy as np


class MeanInterval(NamedTuple):
    """A mean and how far its 95% interval reaches to each side; None for a single value, which says nothing of it."""

    mean: float
    half: float | None

    def __str__(self):
        return f"{self.mean:.2%}" if self.half is None else f"{self.mean:.2%} ± {100 * self.half:.2f}"


def mean_interval(values):
    """Student's interval of the mean of `values`, independent draws."""
    values = np.asarray(values, "float64")
    if len(values) < 2:
        return MeanInterval(float(values.mean()), None)
    half = student_t_95(len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return MeanInterval(float(values.mean()), float(half))


def difference_interval(values, others):
    """Welch's interval of mean(values) - mean(others), which assumes no equal variances.

    Its degrees of freedom are rounded down, so that the interval is a little too wide and never too narrow.
    """
    parts = [np.asarray(each, "float64") for each in (values, others)]
    difference = float(parts[0].mean() - parts[1].mean())
    if min(len(part) for part in parts) < 2:
        return MeanInterval(difference, None)
    errors = [part.var(ddof=1) / len(part) for part in parts]
    spread = sum(error**2 / (len(part) - 1) for error, part in zip(errors, parts, strict=True))
    if spread == 0:
        return MeanInterval(difference, 0.0)
    freedom = int(sum(errors) ** 2 / spread + 1e-9)
    return MeanInterval(difference, student_t_95(freedom) * math.sqrt(sum(errors)))


# fmt: off
STUDENT_T_95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)
# fmt: on


def student_t_95(freedom):
    """Half the width, in standard errors, of a two-sided 95% interval with `freedom` degrees of freedom, from 1."""
    return STUDENT_T_95[freedom - 1] if freedom <= len(STUDENT_T_95) else STUDENT_T_95[-1]
