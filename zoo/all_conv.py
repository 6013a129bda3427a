"""What becomes of pooling: the three rewrites of Springenberg et al., 2015, as functions from rows to rows.

Section 2 and Table 2 of https://arxiv.org/abs/1412.6806. Each works on any network with pooling.
"""

import dataclasses

from zoo.rows import AveragePool, Conv, MaxPool


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

    The control for `all_conv`: as many layers and parameters, and pooling kept.
    """
    result = []
    for row in rows:
        if is_pool(row):
            conv = result[_conv_before(result, row)]
            result.append(dataclasses.replace(conv, kernel=3, stride=1, padding="same"))
        result.append(row)
    return tuple(result)


def all_conv(rows):
    """Each pooling becomes a convolution of the same window and stride, as wide as the one before it."""
    result = []
    for row in rows:
        if is_pool(row):
            conv = result[_conv_before(result, row)]
            row = dataclasses.replace(conv, kernel=row.size, stride=row.stride, padding=row.padding)
        result.append(row)
    return tuple(result)


def is_pool(row):
    return isinstance(row, MaxPool | AveragePool)


def _conv_before(rows, pool):
    for at in reversed(range(len(rows))):
        if isinstance(rows[at], Conv):
            return at
    raise ValueError(f"{pool} has no convolution before it to take its place from.")
