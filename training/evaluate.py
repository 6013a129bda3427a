"""How often a classifier is right, with the interval that so many images allow."""

import math
from typing import NamedTuple

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
        return f"{self.share:.2%} of {self.total:,} test images correct (95% interval {low:.2%} to {high:.2%})"


def evaluate(model, split, batch_size=500):
    """Accuracy of `model`, images uint8 to probabilities [N, K], on every image of `split`."""
    probabilities = model.predict(split.images, batch_size=batch_size, verbose=0)
    return Accuracy(int((probabilities.argmax(axis=1) == split.labels).sum()), len(split.labels))
