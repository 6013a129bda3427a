"""How a classifier takes images that moved by a few pixels: pooling and strides promise that it hardly notices."""

from typing import NamedTuple

import numpy as np

MOST_PIXELS = 4
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))  # down, up, right, left


class ShiftScore(NamedTuple):
    """At one distance, over all directions: mean accuracy, and the share of predictions that stayed what they were."""

    pixels: int
    accuracy: float
    same: float


def shifted(images, down, right):
    """Images [N, H, W, C] moved by that many pixels, up and left where negative; their edge pixels fill the gap."""
    height, width = images.shape[1:3]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return images[:, rows][:, :, columns]


def shift_scores(predict, images, labels, most_pixels=MOST_PIXELS):
    """A ShiftScore for each distance of 0..`most_pixels`; `predict` gives the classes [N] of images."""
    unmoved = predict(images)
    scores = [ShiftScore(0, float((unmoved == labels).mean()), 1.0)]
    for pixels in range(1, most_pixels + 1):
        moved = np.stack([predict(shifted(images, pixels * down, pixels * right)) for down, right in DIRECTIONS])
        scores.append(ShiftScore(pixels, float((moved == labels).mean()), float((moved == unmoved).mean())))
    return scores
