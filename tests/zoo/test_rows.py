import pytest

from zoo import rows
from zoo.all_conv import all_conv
from zoo.grammar import parse
from zoo.pooled import ALEXNET, BASE_C, VGG_16
from zoo.rows import AveragePool, Conv, Dense, MaxPool, ShapeError


@pytest.mark.parametrize(
    "row, given, gives",
    [  # CS231n notes, "Spatial arrangement"
        (Conv(5, 6, padding="valid"), (32, 32, 3), (28, 28, 6)),
        (Conv(3, 1, 1, "valid"), (7, 7, 1), (5, 5, 1)),
        (Conv(3, 1, 2, "valid"), (7, 7, 1), (3, 3, 1)),
        (Conv(5, 10), (32, 32, 3), (32, 32, 10)),
        (Conv(11, 96, 4, "valid"), (227, 227, 3), (55, 55, 96)),
        (MaxPool(2, 2), (224, 224, 64), (112, 112, 64)),
        (MaxPool(2, 2), (7, 9, 64), (4, 5, 64)),
    ],
)
def test_output_shape(row, given, gives):
    assert row.output_shape(given) == gives


@pytest.mark.parametrize(
    "row, given, parameters",
    [
        (Conv(5, 10), (32, 32, 3), 760),
        (Conv(11, 96, 4, "valid"), (227, 227, 3), 34_944),
        (Conv(3, 10, bias=False), (32, 32, 3), 270),
        (Dense(10), (300, 300, 3), 2_700_010),
        (Dense(4096), (7, 7, 512), 102_760_448 + 4096),
        (MaxPool(2, 2), (32, 32, 3), 0),
    ],
)
def test_parameters(row, given, parameters):
    assert row.parameters(given) == parameters


def test_max_and_average_pooling_are_not_equal():
    assert MaxPool(3, 2) != AveragePool(3, 2)


@pytest.mark.parametrize(
    "network, shape, sentence",
    [
        (
            (Conv(3, 1, 2, "valid"),),
            (10, 10, 3),
            "Row 1, CONV(3x3, 1, stride 2, valid) -> RELU, is given 10x10x3: (10 - 3)/2 + 1 = 4.5 is not whole. "
            "The smallest image that fits is 3x3, the next larger one 11x11.",
        ),
        (
            (MaxPool(3, 3, "valid"),),
            (7, 7, 3),
            "Row 1, POOL(3x3, stride 3, valid), is given 7x7x3: (7 - 3)/3 + 1 = 2.333 is not whole. "
            "The smallest image that fits is 3x3, the next larger one 9x9.",
        ),
        (
            (Conv(3, 4, padding="valid"), Conv(3, 4, padding="valid")),
            (4, 4, 1),
            "Row 2, CONV(3x3, 4, valid) -> RELU, is given 2x2x4: a window of 3 does not fit in 2. "
            "The smallest image that fits is 5x5.",
        ),
        (
            VGG_16,
            (16, 16, 3),
            "Row 18, POOL, is given 1x1x512: one position is left, too few for a stride of 2. "
            "The smallest image that fits is 17x17.",
        ),
        (
            parse("INPUT -> FC(10) -> CONV(3x3, 2)"),
            (16, 16, 3),
            "Row 2, CONV(3x3, 2), is given 10: a flat input has no positions to slide a window over.",
        ),
    ],
)
def test_an_image_that_does_not_fit_is_answered_with_the_row_and_the_sizes_that_do(network, shape, sentence):
    with pytest.raises(ShapeError) as error:
        rows.shapes(network, shape)
    assert str(error.value) == sentence


def test_alexnet_fits_227_and_not_224():
    with pytest.raises(
        ShapeError, match=r"^Row 1, .* \(224 - 11\)/4 \+ 1 = 54.25 is not whole.*next larger one 227x227"
    ):
        rows.shapes(ALEXNET, (224, 224, 3))
    assert rows.shapes(ALEXNET, (227, 227, 3))[:3] == [(227, 227, 3), (55, 55, 96), (27, 27, 96)]


@pytest.mark.parametrize("network", [BASE_C, all_conv(BASE_C)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_papers_networks_take_every_size_from_16(network, channels):
    assert {*range(16, 65)} <= {*rows.fitting_sizes(network, channels, largest=64)}
