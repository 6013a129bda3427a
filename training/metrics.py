"""How often, how surely and how steadily a classifier is right."""

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
    """Accuracy of `probabilities` [N, K] on `labels` [N]; every image counts."""
    return Accuracy(int((probabilities.argmax(axis=1) == labels).sum()), len(labels))


def confusion_matrix(probabilities, labels):
    """int [K, K]: how many images of the row's class were taken for the column's."""
    counts = np.zeros((probabilities.shape[1],) * 2, np.int64)
    np.add.at(counts, (labels, probabilities.argmax(axis=1)), 1)
    return counts


def class_rows(confusion):
    """For each class: (images, recall as Accuracy or None without images, precision or None when never predicted)."""
    rows = []
    for at, images in enumerate(confusion.sum(axis=1).tolist()):
        correct, predicted = int(confusion[at, at]), int(confusion[:, at].sum())
        rows.append((images, Accuracy(correct, images) if images else None, correct / predicted if predicted else None))
    return rows


def calibration_error(probabilities, labels, bins=15):
    """Expected calibration error: the mean gap between confidence and accuracy, over equally wide bins of confidence.

    Source: Guo et al., 2017, https://arxiv.org/abs/1706.04599, equation 3.
    """
    confidence = probabilities.max(axis=1)
    is_correct = probabilities.argmax(axis=1) == labels
    at = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(at, is_correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def shifted(images, down, right):
    """`images` [N, H, W, C] moved by so many pixels, the border repeated where nothing comes in."""
    rows = np.clip(np.arange(images.shape[1]) - down, 0, images.shape[1] - 1)
    columns = np.clip(np.arange(images.shape[2]) - right, 0, images.shape[2] - 1)
    return images[:, rows][:, :, columns]


class ShiftRow(NamedTuple):
    """What shifting by `pixels` to each of four sides does: accuracy over them all, and predictions that stay."""

    pixels: int
    accuracy: Accuracy
    same: float


def shift_rows(predict, split, predicted, limit=4):
    """One ShiftRow for each distance from 0 to `limit`.

    Args:
        predict: images to probabilities.
        predicted: the classes [N] that it gives for the images where they are.
    """
    rows = [ShiftRow(0, Accuracy(int((predicted == split.labels).sum()), len(predicted)), 1.0)]
    for pixels in range(1, limit + 1):
        moves = [(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)]
        moved = np.stack([predict(shifted(split.images, *move)).argmax(axis=1) for move in moves])
        hits = Accuracy(int((moved == split.labels).sum()), moved.size)
        rows.append(ShiftRow(pixels, hits, float((moved == predicted).mean())))
    return rows
