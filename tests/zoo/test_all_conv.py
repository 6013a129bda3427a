"""Table 2 of arXiv 1412.6806, written out for model C."""

import pytest

from zoo.all_conv import all_conv, convpool, strided
from zoo.catalog import ENTRIES
from zoo.rows import CLASSES, Conv, Dense, Dropout, GlobalAverage, MaxPool

TAIL = (Conv(3, 192, padding="valid"), Conv(1, 192), Conv(1, CLASSES, activation=None), GlobalAverage())
IN, HALF = Dropout(0.2), Dropout(0.5)

LITERAL = {
    "base_c": (
        *(IN, Conv(3, 96), Conv(3, 96), MaxPool(3, 2), HALF),
        *(Conv(3, 192), Conv(3, 192), MaxPool(3, 2), HALF),
        *TAIL,
    ),
    "strided_cnn_c": (
        *(IN, Conv(3, 96), Conv(3, 96, stride=2), HALF),
        *(Conv(3, 192), Conv(3, 192, stride=2), HALF),
        *TAIL,
    ),
    "convpool_cnn_c": (
        *(IN, Conv(3, 96), Conv(3, 96), Conv(3, 96), MaxPool(3, 2), HALF),
        *(Conv(3, 192), Conv(3, 192), Conv(3, 192), MaxPool(3, 2), HALF),
        *TAIL,
    ),
    "all_cnn_c": (
        *(IN, Conv(3, 96), Conv(3, 96), Conv(3, 96, stride=2), HALF),
        *(Conv(3, 192), Conv(3, 192), Conv(3, 192, stride=2), HALF),
        *TAIL,
    ),
}


@pytest.mark.parametrize("name", LITERAL)
def test_model_c_and_its_variants_are_the_papers_rows(name):
    assert ENTRIES[name].rows == LITERAL[name]


@pytest.mark.parametrize("rewrite", [strided, convpool, all_conv])
def test_pooling_with_no_convolution_before_it_is_refused(rewrite):
    with pytest.raises(ValueError, match=r"MaxPool\(size=2, stride=2, padding='same'\) has no convolution before it"):
        rewrite((MaxPool(2, 2), Dense(CLASSES, activation=None)))
