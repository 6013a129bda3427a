"""Networks with pooling: models A, B and C, Table 1 of Springenberg et al., 2015.

https://arxiv.org/abs/1412.6806. The dropouts are the paper's: 20% of the input, 50% after each pooling.
Its table has a ReLU after the class convolution too. Scores that cannot be negative stop training at once (the loss
stays at ln 10), so ours go to the softmax as they are.
"""

from zoo.rows import CLASSES, Conv, Dropout, GlobalAverage, MaxPool

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
