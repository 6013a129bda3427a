"""The network of airbench (arXiv 2404.00498), the fastest known to 94% on CIFAR-10, and twins after it.

For processors it has ReLU in place of GELU, which trains 1.2 to 1.3 times as many images a second there and is as
accurate. Its pools take the border in (16, 8, 4 pixels a side, where the source's leave it out: 15, 7, 3), which costs
1.23 times the multiply-adds and is more accurate after as many epochs (benchmarks/RESULTS.md), and its normalisations
average over 10 steps, the source's over 2.5. Its whitening first layer is left to `build`'s `front`, its small scores
to the recipe "airbench".

Each stage has two 3x3 convolutions. `AIRBENCH` and `SPRINT_POOL` pool between them; in `SPRINT_ALL_CONV` the second one
strides. The twins end in a global average, so that only the halving differs between them: they have equal parameters
and equal multiply-adds.
"""

from zoo.rows import CLASSES, Activation, BatchNorm, Conv, Dense, GlobalAverage, MaxPool

FILTERS = (64, 256, 256)
HEAD = (GlobalAverage(), Dense(CLASSES, activation=None))


def conv(filters, *pool, stride=1, scale=True):
    """A convolution, a pooling if there is one, batch normalisation in place of a bias, ReLU."""
    return Conv(3, filters, stride, activation=None, bias=False), *pool, BatchNorm(scale), Activation("relu")


SPRINT_POOL = (*(row for f in FILTERS for row in (*conv(f, MaxPool(2, 2)), *conv(f))), *HEAD)
SPRINT_ALL_CONV = (*(row for f in FILTERS for row in (*conv(f), *conv(f, stride=2))), *HEAD)
AIRBENCH = (
    *(row for f in FILTERS for row in (*conv(f, MaxPool(2, 2), scale=False), *conv(f, scale=False))),
    *(MaxPool(4, 4), HEAD[-1]),
)
