import itertools

import pytest

from zoo import catalog, rows
from zoo.all_conv import all_conv, convpool, is_pool, strided
from zoo.catalog import ENTRIES
from zoo.rows import CLASSES, Activation, AveragePool, BatchNorm, Conv, Dense, Dropout, GlobalAverage, MaxPool

TAIL = (Conv(3, 192, padding="valid"), Conv(1, 192), Conv(1, CLASSES, activation=None), GlobalAverage())
IN, HALF = Dropout(0.2), Dropout(0.5)
REWRITES = (strided, convpool, all_conv)

LITERAL = {  # arXiv 1412.6806, Tables 1 and 2
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


POOLED = [
    name
    for name, entry in ENTRIES.items()
    if isinstance(entry, catalog.Table) and any(is_pool(row) for row in entry.rows)
]


@pytest.mark.parametrize("rewrite", REWRITES)
@pytest.mark.parametrize("name", POOLED)
def test_every_pooled_network_can_be_rewritten_and_fits_its_images(name, rewrite):
    entry = ENTRIES[name]
    rewritten = rewrite(entry.rows)
    pools = sum(is_pool(row) for row in entry.rows)
    convolutions = sum(isinstance(row, Conv) for row in entry.rows)
    assert sum(is_pool(row) for row in rewritten) == (pools if rewrite is convpool else 0)
    assert sum(isinstance(row, Conv) for row in rewritten) == convolutions + (0 if rewrite is strided else pools)
    table = rows.sized(rewritten, entry.num_classes)
    assert rows.shapes(table, entry.input_shape)[-1] == (entry.num_classes,)


def changes(shapes):
    """The shapes without those that a normalisation or a nonlinearity, which a convolution may bring, leaves as is."""
    return [shape for shape, _ in itertools.groupby(shapes)]


@pytest.mark.parametrize("name", POOLED)
def test_a_convolution_in_place_of_a_pooling_gives_the_same_shapes(name):
    entry = ENTRIES[name]
    pooled, strided = (
        rows.shapes(rows.sized(network, 10), entry.input_shape) for network in (entry.rows, all_conv(entry.rows))
    )
    assert changes(pooled) == changes(strided)


NORMALISED = (Conv(3, 8, activation=None), BatchNorm(), Activation("relu"))


@pytest.mark.parametrize(
    "rewrite, expected",
    [
        (strided, (Conv(3, 8, 2, activation=None), BatchNorm(), Activation("relu"))),
        (convpool, (*NORMALISED, *NORMALISED, AveragePool(2, 2))),
        (all_conv, (*NORMALISED, Conv(2, 8, 2, activation=None), BatchNorm(), Activation("relu"))),
    ],
)
def test_normalisation_and_nonlinearity_belong_to_their_convolution(rewrite, expected):
    assert rewrite((*NORMALISED, AveragePool(2, 2))) == expected


def test_a_pooling_that_pads_makes_the_strided_convolution_pad():
    assert strided((Conv(5, 8, padding="valid"), MaxPool(2, 2))) == (Conv(5, 8, 2, "same"),)
    assert strided((Conv(5, 8, padding="valid"), MaxPool(3, 2, "valid"))) == (Conv(5, 8, 2, "valid"),)


@pytest.mark.parametrize("rewrite", REWRITES)
def test_pooling_with_no_convolution_before_it_is_refused(rewrite):
    with pytest.raises(ValueError, match=r"^POOL has no convolution before it"):
        rewrite((MaxPool(2, 2), Dense(CLASSES, activation=None)))
