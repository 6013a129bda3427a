import keras
import pytest

from zoo.account import account
from zoo.describe import describe, explanation, short, table, totals

L = keras.layers


class Mystery(L.Layer):
    def call(self, x):
        return x


@pytest.fixture(scope="module")
def counted():
    images = keras.Input((8, 8, 3), name="images")
    x = L.BatchNormalization(name="norm")(L.DepthwiseConv2D(3, name="depthwise")(images))
    return account(keras.Model(images, L.Conv2DTranspose(2, 4, 2, name="up")(Mystery(name="odd")(x))))


@pytest.mark.parametrize("name", ["conv_vae", "dcgan", "mobilenet_025", "resnet50"])
def test_networks_that_are_no_tables_of_rows_fit_80_columns_too(name):
    assert max(map(len, describe(name))) <= 80


def test_what_is_unknown_is_marked_and_named(counted):
    (odd,) = (line.split() for line in table(counted) if line.startswith("odd"))
    assert odd[-2] == "?"  # multiply-adds, before memory: there is no receptive field either
    assert totals(counted)[-1] == "not counted, being layers of unknown kind: multiply-adds of odd (Mystery)"


def test_parameters_are_explained_by_what_they_are(counted):
    lines = explanation(counted)
    assert "    weights        3*3*3 = 27" in lines  # a depthwise convolution has one kernel a channel
    assert "    parameters     3 weights + 3 biases + 6 statistics = 12" in lines
    assert "    size           (6 - 1)*2 + 4 - 2*0 = 14" in lines


@pytest.mark.parametrize(
    "count, words", [(0, "0"), (999, "999"), (1_000, "1.0k"), (270_798_336, "270.8M"), (15_470_264_320, "15.5G")]
)
def test_counts_are_shortened(count, words):
    assert short(count) == words
