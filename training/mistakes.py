"""The images that a classifier gets wrong, on one sheet."""

import numpy as np

from training.plots import saved_figure

WORST = 20
COLUMNS = 5


def worst_mistakes(probabilities, labels):
    """Indices of the images that were taken for a wrong class, the surest first, at most WORST.

    `probabilities` are [N, K], `labels` int [N].
    """
    sure = np.where(probabilities.argmax(axis=1) == labels, -1, probabilities.max(axis=1))
    return [int(at) for at in np.argsort(-sure, kind="stable")[:WORST] if sure[at] >= 0]


def save_images(path, images, titles):
    """A PNG of `images`, uint8 [N, H, W, C], N at least 1, in rows of COLUMNS, each under its title."""
    rows = -(-len(images) // COLUMNS)
    with saved_figure(path, (COLUMNS * 2.4, rows * 3), dpi=100) as figure:
        for at, axes in enumerate(figure.subplots(rows, COLUMNS, squeeze=False).flat):
            axes.axis("off")
            if at < len(images):
                axes.imshow(images[at].squeeze(), cmap="gray", vmin=0, vmax=255)
                axes.set_title(titles[at], fontsize=8)
