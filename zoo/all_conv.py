"""What becomes of pooling: the three rewrites of Springenberg et al., 2015, as functions from rows to rows.

Section 2 and Table 2 of https://arxiv.org/abs/1412.6806. Each works on any network with pooling. The paper's ImageNet
network is a table of its own.
"""

import dataclasses

from zoo.rows import CLASSES, Activation, AveragePool, BatchNorm, Conv, Dropout, GlobalAverage, MaxPool


def strided(rows):
    """Each pooling goes, and the convolution before it takes its stride.

    A pooling that pads hands its padding on too: without it the raised stride would seldom fit.
    """
    result = []
    for row in rows:
        if not is_pool(row):
            result.append(row)
            continue
        at = _conv_before(result, row)
        conv = result[at]
        padding = "same" if "same" in (conv.padding, row.padding) else "valid"
        result[at] = dataclasses.replace(conv, stride=conv.stride * row.stride, padding=padding)
    return tuple(result)


def convpool(rows):
    """One more 3x3 convolution, as wide as the one before it, goes in front of each pooling.

    The control for `all_conv`: as many layers, and pooling kept.
    """
    result = []
    for row in rows:
        if is_pool(row):
            result += _like_the_last(result, row, kernel=3, stride=1, padding="same")
        result.append(row)
    return tuple(result)


def all_conv(rows):
    """Each pooling becomes a convolution with its window and stride, as wide as the one before it."""
    result = []
    for row in rows:
        if is_pool(row):
            result += _like_the_last(result, row, kernel=row.size, stride=row.stride, padding=row.padding)
        else:
            result.append(row)
    return tuple(result)


def is_pool(row):
    return isinstance(row, MaxPool | AveragePool)


def _like_the_last(rows, pool, **changes):
    """The last convolution, changed, with the normalisation and nonlinearity that follow it."""
    at = _conv_before(rows, pool)
    return dataclasses.replace(rows[at], **changes), *(
        row for row in rows[at:] if isinstance(row, BatchNorm | Activation)
    )


def _conv_before(rows, pool):
    for at in reversed(range(len(rows))):
        if isinstance(rows[at], Conv):
            return at
    raise ValueError(f"{pool} has no convolution before it that could do its work.")


# Table 6: 224x224 images; dropout only before the last stage.
ALL_CNN_B_IMAGENET = (
    *(Conv(11, 96, 4), Conv(1, 96), Conv(3, 96, 2)),
    *(Conv(5, 256), Conv(1, 256), Conv(3, 256, 2)),
    *(Conv(3, 384), Conv(1, 384), Conv(3, 384, 2), Dropout(0.5)),
    *(Conv(3, 1024), Conv(1, 1024), Conv(1, CLASSES, activation=None), GlobalAverage()),
)
