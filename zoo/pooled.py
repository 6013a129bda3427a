"""Networks with pooling: the lecture's small ones, LeNet-5, AlexNet, VGG, and models A, B and C of the paper.

Every convolution is padded to keep its size unless its source says "valid", and every pooling but AlexNet's covers the
ragged edge of an odd size, so that a network fits images of other sizes than its source's.
"""

from zoo.grammar import parse
from zoo.rows import CLASSES, AveragePool, Conv, Dense, Dropout, GlobalAverage, MaxPool

SCORES = Dense(CLASSES, activation=None)

# https://cs231n.github.io/convolutional-networks/, "Layer Patterns"; the numbers of filters and units are ours.
LINEAR = parse("INPUT -> FC")
ONE_CONV = parse("INPUT -> CONV -> RELU -> FC")
CONV_POOL = parse("INPUT -> [CONV -> RELU -> POOL]*2 -> FC -> RELU -> FC")
CONV_CONV_POOL = parse("INPUT -> [CONV -> RELU -> CONV -> RELU -> POOL]*3 -> [FC -> RELU]*2 -> FC")

# LeCun et al., 1998, section II.B, as it is rebuilt today: every C3 map sees all six of S2, subsampling has no
# parameters, and the scores go to a softmax.
LENET_5 = (
    Conv(5, 6, padding="valid", activation="tanh"),
    AveragePool(2, 2),
    Conv(5, 16, padding="valid", activation="tanh"),
    AveragePool(2, 2),
    Dense(120, "tanh"),
    Dense(84, "tanh"),
    SCORES,
)

HEAD = (Dense(4096), Dropout(0.5), Dense(4096), Dropout(0.5), SCORES)

# Krizhevsky et al., 2012, as the lecture lists it: 227x227, one tower, every filter as deep as its input. The original
# has two, which halve the depth of three convolutions: 60,965,224 parameters. Its response normalisation has none.
ALEXNET = (
    Conv(11, 96, 4, "valid"),
    MaxPool(3, 2, "valid"),
    Conv(5, 256),
    MaxPool(3, 2, "valid"),
    Conv(3, 384),
    Conv(3, 384),
    Conv(3, 256),
    MaxPool(3, 2, "valid"),
    *HEAD,
)


def vgg(*depths):
    """Configurations A, D and E of Simonyan and Zisserman, 2015, Table 1: how many 3x3 convolutions in each stage."""
    stages = zip(depths, (64, 128, 256, 512, 512), strict=True)
    return (*(row for depth, filters in stages for row in (*[Conv(3, filters)] * depth, MaxPool(2, 2))), *HEAD)


VGG_11 = vgg(1, 1, 2, 2, 2)
VGG_16 = vgg(2, 2, 3, 3, 3)
VGG_19 = vgg(2, 2, 4, 4, 4)

# Springenberg et al., 2015, Table 1, with the paper's dropouts: 20% of the input, 50% after each pooling. The table has
# a ReLU after the class convolution too. Scores that cannot be negative stop training at once (the loss stays at
# ln 10), so ours go to the softmax as they are.
POOL = (MaxPool(3, 2), Dropout(0.5))
TAIL = (  # "valid": two halvings of 32 give 8, and the paper averages over 6x6
    Conv(3, 192, padding="valid"),
    Conv(1, 192),
    Conv(1, CLASSES, activation=None),
    GlobalAverage(),
)
BASE_A = (Dropout(0.2), Conv(5, 96), *POOL, Conv(5, 192), *POOL, *TAIL)
BASE_B = (Dropout(0.2), Conv(5, 96), Conv(1, 96), *POOL, Conv(5, 192), Conv(1, 192), *POOL, *TAIL)
BASE_C = (Dropout(0.2), Conv(3, 96), Conv(3, 96), *POOL, Conv(3, 192), Conv(3, 192), *POOL, *TAIL)
