"""Windows that slide over maps, and what of the image a place of a map sees through them.

Receptive field and jump follow r += (k - 1) * jump, jump *= stride. Axes are spatial throughout: no batch, no channels.
"""

import math
from fractions import Fraction
from typing import NamedTuple

from zoo.kinds import CONVOLUTIONS, GLOBAL_POOLS, MERGES, POOLS, RESHAPES, TRANSPOSED, UPSAMPLINGS, kind


class Window(NamedTuple):
    """What slides over a map, one number for each axis.

    `kernel` spans a dilated kernel's holes too. `padding` is what both sides get together, the 2P of
    (W - F + 2P)/S + 1; of a transposed window, what both sides lose: (W - 1)S + F - 2P.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    transposed: bool = False


class Sight(NamedTuple):
    """How much of the image one place of a map sees, and how far apart neighbours look; one number for each axis."""

    field: tuple
    jump: tuple

    def through(self, window, sizes):
        """What a place of the output sees, when `window` slides over a map of `sizes`."""
        kernel, stride = window.kernel, window.stride
        if window.transposed:
            kernel = (-(-k // s) for k, s in zip(kernel, stride, strict=True))
            stride = (Fraction(1, s) for s in stride)
        reach = (min(k, size) - 1 for k, size in zip(kernel, sizes, strict=True))  # there is nothing beyond the map
        field = tuple(r + beyond * j for r, beyond, j in zip(self.field, reach, self.jump, strict=True))
        return Sight(field, tuple(j * s for j, s in zip(self.jump, stride, strict=True)))


def image_sight(shape):
    """The Sight of a model's input [N, ..., C]: each place sees itself. None where the input is no map."""
    axes = len(shape) - 2
    return Sight((1,) * axes, (1,) * axes) if axes > 0 else None


def sight(op, window, given, gives, sights):
    """The Sight after `op`; None where that is unknown, or the model's input is no map.

    Args:
        op: a layer or an operation.
        window: its Window, or None.
        given: the shape of each of its inputs, with the batch.
        gives: the shape of its output.
        sights: the Sight of each input.
    """
    what = kind(op)
    if what is None or None in sights:
        return None
    if what in MERGES:
        largest = max(range(len(given)), key=lambda at: math.prod(spatial(op, given[at])))
        return Sight(tuple(map(max, zip(*(one.field for one in sights), strict=True))), sights[largest].jump)
    if what in RESHAPES:
        sizes = spatial(op, given[0])
        seen = sights[0].through(whole(sizes), sizes) if sizes else sights[0]
        several = math.prod(spatial(op, gives)) > 1  # each place of the new map sees all of the old one
        return seen._replace(jump=(0,) * len(seen.jump)) if several else seen
    return sights[0].through(window, spatial(op, given[0])) if window else sights[0]


def whole(sizes):
    """The Window that covers a whole map at once. It could slide on by one, so it keeps the jump."""
    return Window(sizes, (1,) * len(sizes), (0,) * len(sizes))


def window(op, given, gives):
    """The Window of `op` between shapes with the batch; None for an operation that has none."""
    sizes, results, what = spatial(op, given), spatial(op, gives), kind(op)
    if what in GLOBAL_POOLS:
        return whole(sizes)
    if what in UPSAMPLINGS:
        stride = tuple(result // size for result, size in zip(results, sizes, strict=True))
        reach = 1 if getattr(op, "interpolation", "nearest") == "nearest" else 2
        return Window(tuple(reach * s for s in stride), stride, tuple((reach - 1) * s for s in stride), True)
    if what not in CONVOLUTIONS | TRANSPOSED | POOLS:
        return None
    kernel = op.pool_size if what in POOLS else op.kernel_size
    kernel, stride, dilation = (_each(x, len(sizes)) for x in (kernel, op.strides, getattr(op, "dilation_rate", 1)))
    kernel = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    if what in TRANSPOSED:
        lost = ((w - 1) * s + k - out for w, out, k, s in zip(sizes, results, kernel, stride, strict=True))
        return Window(kernel, stride, tuple(lost), True)
    if op.padding == "valid":
        return Window(kernel, stride, (0,) * len(sizes))
    added = (max((out - 1) * s + k - w, 0) for w, out, k, s in zip(sizes, results, kernel, stride, strict=True))
    return Window(kernel, stride, tuple(added))


def spatial(op, shape):
    """The axes of `shape` that are neither the batch nor channels."""
    return tuple(shape[2:] if getattr(op, "data_format", None) == "channels_first" else shape[1:-1])


def _each(value, axes):
    return tuple(value) if isinstance(value, tuple | list) else (value,) * axes
