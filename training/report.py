"""What a classifier gets right and wrong, as pictures."""

import numpy as np
from matplotlib.figure import Figure

MOST_NAMES = 50  # classes that a confusion matrix has names and counts for
WORST = 20
COLUMNS = 5


def confusion_matrix(labels, predicted, num_classes):
    """int [K, K]: how many images of the row's class were taken for the column's."""
    return np.bincount(labels * num_classes + predicted, minlength=num_classes**2).reshape(num_classes, num_classes)


def draw_confusion_matrix(path, matrix, class_names):
    """Writes `matrix` as a PNG; its colours are shares of each row, so that small classes show too."""
    count = len(class_names)
    side = min(24, 3 + 0.4 * count)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True)), cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="taken for", ylabel="is")
    if count <= MOST_NAMES:
        axes.set_xticks(range(count), class_names, rotation=90)
        axes.set_yticks(range(count), class_names)
        for row, column in np.argwhere(matrix):
            share = matrix[row, column] / matrix[row].sum()
            axes.text(column, row, matrix[row, column], ha="center", va="center", color="w" if share > 0.5 else "k")
    figure.savefig(path, dpi=100)


def worst_mistakes(labels, probabilities):
    """Indices of the images that were taken for a wrong class, the surest first, at most WORST."""
    sure = np.where(probabilities.argmax(axis=1) == labels, -1, probabilities.max(axis=1))
    return [int(at) for at in np.argsort(-sure, kind="stable")[:WORST] if sure[at] >= 0]


def draw_images(path, images, titles):
    """Writes `images`, uint8 [N, H, W, C], in rows on one PNG, each under its title."""
    rows = max(1, -(-len(images) // COLUMNS))
    figure = Figure(figsize=(COLUMNS * 2.6, rows * 3.1), layout="constrained")
    for at, axes in enumerate(figure.subplots(rows, COLUMNS, squeeze=False).flat):
        axes.axis("off")
        if at < len(images):
            axes.imshow(images[at].squeeze(), cmap="gray", vmin=0, vmax=255)
            axes.set_title(titles[at], fontsize=8, wrap=True, parse_math=False)
    figure.savefig(path, dpi=100)
