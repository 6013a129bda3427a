"""Figures as PNG files."""

import contextlib
import warnings

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from training.intervals import mean_interval

FIGURES_IN_CELLS = 20  # classes up to which a confusion matrix shows its numbers


@contextlib.contextmanager
def saved_figure(path, size, **given):
    """A Figure of `size` inches to draw on, written to `path` at the end.

    Names in it are the user's: a $ in one begins no formula, and a letter that the font has not is drawn as a box.
    """
    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        figure = Figure(size, layout="constrained", **given)
        yield figure
        figure.savefig(path)


def save_confusion(path, confusion, class_names, title):
    """A confusion matrix, int [K, K], as a picture: each row the share of that class's images."""
    count = len(class_names)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    has_figures = count <= FIGURES_IN_CELLS
    side = 3.2 + (0.5 * count if has_figures else 0.13 * min(count, 110))
    with saved_figure(path, (side, side), dpi=120) as figure:
        axes = figure.add_subplot()
        axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))  # the few mistakes are what one looks for
        figure.suptitle(title, fontsize=10, wrap=True)
        axes.set(xlabel="taken for", ylabel="class")
        fontsize = 9 if has_figures else 5
        if count <= 110:
            axes.set_xticks(range(count), class_names, rotation=90, fontsize=fontsize)
            axes.set_yticks(range(count), class_names, fontsize=fontsize)
        if has_figures:
            for (row, column), share in np.ndenumerate(shares):
                if confusion[row, column]:
                    colour = "white" if share > 0.3 else "black"
                    axes.text(column, row, percent(share), ha="center", va="center", color=colour, fontsize=8)


def percent(share):
    """Whole percents, and one decimal below ten: 93, 4.2, 0.1."""
    return f"{100 * share:.0f}" if share >= 0.0995 else f"{100 * share:.1f}"


def save_intervals(path, panels, title):
    """Values with the mean and interval of each group, {panel: {group: values}}, one panel beside the other."""
    count = max(len(groups) for groups in panels.values())
    with saved_figure(path, (1.5 + 4.5 * len(panels), 1.4 + 0.45 * count), dpi=120) as figure:
        figure.suptitle(title, fontsize=10)
        every = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
        for axes, (panel, groups) in zip(every, panels.items(), strict=True):
            axes.set_title(panel, fontsize=10)
            for at, values in enumerate(groups.values()):
                mean, half = mean_interval(values)
                axes.errorbar(mean, at, xerr=half, fmt="o", color="tab:blue", capsize=4)
                axes.plot(values, [at - 0.25] * len(values), ".", color="grey", markersize=5)
            axes.set_yticks(range(len(groups)), groups)
            axes.set_ylim(len(groups) - 0.5, -0.6)
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.xaxis.set_major_formatter(PercentFormatter(1))
            axes.grid(axis="x", alpha=0.4)
