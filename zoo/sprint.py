"""Twins made to be trained in minutes: the same convolutions, halving by pooling or by stride.

After the network of airbench (arXiv 2404.00498), the fastest known to 94% on CIFAR-10, for processors: ReLU for GELU,
which trains 1.2 to 1.3 times as many images a second there and is as accurate, a global average for its last pooling,
and its whitening first layer left to `build`'s `front`.

Each stage has two 3x3 convolutions. `SPRINT_POOL` pools between them; in `SPRINT_ALL_CONV` the second one strides. So
the twins have equal parameters and equal multiply-adds, and only pooling differs.
"""

from zoo.rows import CLASSES, Activation, BatchNorm, Conv, Dense, GlobalAverage, MaxPool

FILTERS = (64, 256, 256)
HEAD = (GlobalAverage(), Dense(CLASSES, activation=None))


def conv(filters, *pool, stride=1):
    """A convolution, a pooling if there is one, batch normalisation in place of a bias, ReLU."""
    return Conv(3, filters, stride, activation=None, bias=False), *pool, BatchNorm(), Activation("relu")


SPRINT_POOL = (*(row for f in FILTERS for row in (*conv(f, MaxPool(2, 2)), *conv(f))), *HEAD)
SPRINT_ALL_CONV = (*(row for f in FILTERS for row in (*conv(f), *conv(f, stride=2))), *HEAD)
