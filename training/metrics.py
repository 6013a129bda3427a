"""What predictions are worth, as functions of numpy arrays.

`labels` and `predictions` are int [N], `probabilities` float [N, K].
"""

import math
from typing import NamedTuple

import numpy as np

Z_95 = 1.959964  # standard deviations to each side of a normal distribution's middle 95%


class Accuracy(NamedTuple):
    """`correct` of `total` images."""

    correct: int
    total: int

    @property
    def share(self):
        return self.correct / self.total

    @property
    def interval(self):
        """(low, high): Wilson's 95% interval, which stays within 0..1 and is right for few images too."""
        spread = Z_95**2 / self.total
        middle = (self.share + spread / 2) / (1 + spread)
        half = Z_95 / (1 + spread) * math.sqrt((self.share * (1 - self.share) + spread / 4) / self.total)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self):
        low, high = self.interval
        return f"{self.share:.2%} of {self.total:,} (95% interval {low:.2%} to {high:.2%})"


def accuracy(probabilities, labels):
    """How often the likeliest class is the right one, as an Accuracy."""
    return Accuracy(int((probabilities.argmax(axis=1) == labels).sum()), len(labels))


def confusion_matrix(predictions, labels, num_classes):
    """int [K, K]: at [i, j] how many images of class i were taken for j."""
    pairs = np.bincount(labels * num_classes + predictions, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)


class ClassScore(NamedTuple):
    """One class: the Accuracy on its images (its recall), its precision, and what it is most often taken for.

    `precision` is None where nothing was taken for this class, `recall` where it has no images; `mistaken_for` is
    (class, share of this class's images), None where no image was mistaken.
    """

    recall: Accuracy | None
    precision: float | None
    mistaken_for: tuple[int, float] | None


def class_scores(confusion):
    """A ClassScore for each class of a confusion matrix."""
    return [class_score(confusion, at) for at in range(len(confusion))]


def class_score(confusion, at):
    images, taken, right = int(confusion[at].sum()), int(confusion[:, at].sum()), int(confusion[at, at])
    mistakes = confusion[at].copy()
    mistakes[at] = 0
    worst = int(mistakes.argmax())
    return ClassScore(
        recall=Accuracy(right, images) if images else None,
        precision=right / taken if taken else None,
        mistaken_for=(worst, int(mistakes[worst]) / images) if mistakes[worst] else None,
    )


def calibration_error(probabilities, labels, bins=15):
    """Expected calibration error: how far the probability of the likeliest class is from how often it is right.

    The mean of |accuracy - mean probability| over `bins` bins of equal width, each weighted by its images.
    Source: Guo et al., 2017, https://arxiv.org/abs/1706.04599, equation 3.
    """
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == labels
    at = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # bin m holds ((m - 1)/M, m/M]
    gaps = np.bincount(at, weights=is_right - confidence.astype("float64"), minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
