"""Pictures of what was measured."""

import numpy as np
from matplotlib.figure import Figure

NUMBERED_CLASSES = 20  # above that many the counts would not fit their squares


def plot_confusion(path, confusion, class_names):
    """A PNG of `confusion` [K, K]: each row the share of a class's images that was taken for each class."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    count = len(class_names)
    side = 3 + 0.45 * min(count, 60)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("taken for")
    axes.set_ylabel("class")
    axes.set_xticks(range(count), class_names, rotation=90)
    axes.set_yticks(range(count), class_names)
    if count <= NUMBERED_CLASSES:
        for row, column in np.ndindex(count, count):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, confusion[row, column], ha="center", va="center", color=colour, fontsize=8)
    figure.savefig(path, dpi=120)
