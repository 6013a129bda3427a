import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo import catalog, grammar
from zoo.rows import (
    ACTIVATIONS,
    CLASSES,
    Activation,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    GlobalAverage,
    MaxPool,
)

SCORES = Dense(CLASSES, activation=None)


@pytest.mark.parametrize(
    "pattern, rows",
    [
        ("INPUT -> FC", (SCORES,)),
        ("INPUT -> CONV -> RELU -> FC", (Conv(3, 32), SCORES)),
        (
            "INPUT -> [CONV -> RELU -> POOL]*2 -> FC -> RELU -> FC",
            (Conv(3, 32), MaxPool(2, 2), Conv(3, 64), MaxPool(2, 2), Dense(256), SCORES),
        ),
        (
            "INPUT -> [CONV -> RELU -> CONV -> RELU -> POOL]*3 -> [FC -> RELU]*2 -> FC",
            (
                *(Conv(3, 32), Conv(3, 32), MaxPool(2, 2)),
                *(Conv(3, 64), Conv(3, 64), MaxPool(2, 2)),
                *(Conv(3, 128), Conv(3, 128), MaxPool(2, 2)),
                *(Dense(256), Dense(256), SCORES),
            ),
        ),
        ("INPUT -> [CONV -> RELU -> POOL]*0 -> FC", (SCORES,)),
        ("input->[conv->relu]*2->fc", (Conv(3, 32), Conv(3, 32), SCORES)),
        (
            "INPUT -> CONV(5x5, 96, stride 2, valid, no bias) -> NORM -> GELU -> POOL(3x3, stride 2, average) -> FC",
            (
                Conv(5, 96, 2, "valid", activation=None, bias=False),
                *(BatchNorm(), Activation("gelu"), AveragePool(3, 2), SCORES),
            ),
        ),
        (
            "INPUT -> DROP(0.2) -> CONV(1x1, classes) -> MEAN",
            (Dropout(0.2), Conv(1, CLASSES, activation=None), GlobalAverage()),
        ),
        ("INPUT -> FC(linear) -> TANH -> FC", (Dense(256, activation=None), Activation("tanh"), SCORES)),
    ],
)
def test_pattern_stands_for_rows(pattern, rows):
    assert grammar.parse(pattern) == rows


LECTURE = "INPUT -> [[CONV -> RELU]*2 -> POOL?]*3 -> [FC -> RELU]*1 -> FC"


def filters(rows):
    return [row.filters for row in rows if isinstance(row, Conv)]


@pytest.mark.parametrize(
    "given, expected",
    [
        (None, [32, 32, 64, 64, 128, 128]),
        ((8,), [8] * 6),
        ((8, 16, 24), [8, 8, 16, 16, 24, 24]),
        ((1, 2, 3, 4, 5, 6), [1, 2, 3, 4, 5, 6]),
    ],
)
def test_filters_are_one_for_all_one_a_stage_or_one_each(given, expected):
    assert filters(grammar.parse(LECTURE, filters=given)) == expected


def test_a_strided_convolution_ends_a_stage():
    rows = grammar.parse("INPUT -> [CONV -> RELU -> CONV(3x3, stride 2) -> RELU]*2 -> FC", filters=(8, 16))
    assert filters(rows) == [8, 8, 16, 16]


def test_written_numbers_are_kept():
    rows = grammar.parse("INPUT -> CONV(3x3, 5) -> POOL -> CONV -> FC(7) -> RELU -> FC -> RELU -> FC(9)", units=(3,))
    assert filters(rows) == [5, 64]
    assert [row.units for row in rows if isinstance(row, Dense)] == [7, 3, 9]


def test_a_question_mark_may_be_left_out():
    assert not any(isinstance(row, MaxPool) for row in grammar.parse(LECTURE, optional=False))
    assert sum(isinstance(row, MaxPool) for row in grammar.parse(LECTURE)) == 3


@pytest.mark.parametrize(
    "numbers, sentence",
    [
        ({"filters": (8, 16)}, r"filters gives 2 numbers where the pattern leaves 3 open: \(8, 16\)\."),
        ({"units": (8, 16)}, r"units gives 2 numbers where the pattern leaves 1 open: \(8, 16\)\."),
    ],
)
def test_numbers_that_the_pattern_has_no_use_for_are_refused(numbers, sentence):
    with pytest.raises(ValueError, match=sentence):
        grammar.parse(LECTURE, **numbers)


@pytest.mark.parametrize(
    "pattern, caret, sentence",
    [
        ("", "^", "Expected INPUT, which begins a pattern, and found the end."),
        ("CONV -> FC", "^", 'Expected INPUT, which begins a pattern, and found "CONV".'),
        ("INPUT -> [CONV -> ]*2", "                  ^", ' or "[" and found "]".'),
        ("INPUT -> CONVV -> FC", "         ^", ' or "[" and found "CONVV".'),
        ("INPUT -> CONV -> INPUT", "                 ^", ' or "[" and found "INPUT".'),
        ("INPUT -> [CONV", "              ^", 'Expected "->", "*", "?" or "]" and found the end.'),
        ("INPUT -> CONV] -> FC", "             ^", 'Expected "->", "*", "?" or the end and found "]".'),
        ("INPUT -> [CONV]*N", "                ^", 'Expected a whole number, how often, after "*" and found "N".'),
        ("INPUT -> FC(3x3)", "            ^", 'Expected 96 or linear in FC\'s brackets and found "3x3".'),
        ("INPUT -> RELU(3)", "              ^", 'Expected no more about RELU and found "3".'),
        ("INPUT -> FC(3", "            ^", 'Expected 96 or linear in FC\'s brackets and found "3".'),
        ("INPUT -> DROP -> FC", "              ^", 'Expected DROP\'s rate, as in DROP(0.5), and found "->".'),
        ("INPUT -> [CONV]*9999", "                    ^", "Expected at most 1000 layers and found more."),
        ("INPUT -> CONV(3x3, 0)", "                   ^", 'in CONV\'s brackets and found "0".'),
    ],
)
def test_a_bad_pattern_is_shown_with_a_caret_under_the_place(pattern, caret, sentence):
    with pytest.raises(grammar.PatternError) as error:
        grammar.parse(pattern)
    first, shown, under = str(error.value).split("\n")
    assert first.endswith(sentence)
    assert shown == f"  {pattern}"
    assert under == f"  {caret}"


@pytest.mark.parametrize(
    "rows, pattern",
    [
        ((SCORES,), "INPUT -> FC"),
        (
            (Conv(3, 8), Conv(3, 8), MaxPool(2, 2), Conv(3, 8), Conv(3, 8), MaxPool(2, 2), Dense(9), SCORES),
            "INPUT -> [[CONV(3x3, 8) -> RELU]*2 -> POOL]*2 -> FC(9) -> RELU -> FC",
        ),
        (
            (Conv(3, 8, activation=None), Activation("relu"), Activation("relu")),
            "INPUT -> CONV(3x3, 8, linear) -> [RELU]*2",
        ),
    ],
)
def test_rows_are_written_with_repeats_folded(rows, pattern):
    assert grammar.format(rows) == pattern


@pytest.mark.parametrize("name", [name for name, entry in catalog.ENTRIES.items() if isinstance(entry, catalog.Table)])
def test_every_network_survives_being_written_and_read(name):
    rows = catalog.ENTRIES[name].rows
    assert grammar.parse(grammar.format(rows)) == rows


sizes = st.integers(1, 5)
paddings = st.sampled_from(["same", "valid"])
activations = st.sampled_from(ACTIVATIONS)
numbers = st.integers(1, 4) | st.just(CLASSES)
rows = st.one_of(
    st.builds(Conv, sizes, numbers, sizes, paddings, st.none() | activations, st.booleans()),
    st.builds(Dense, numbers, st.none() | activations),
    st.builds(MaxPool, sizes, sizes, paddings),
    st.builds(AveragePool, sizes, sizes, paddings),
    st.builds(Dropout, st.floats(0, 1, exclude_max=True)),
    st.builds(Activation, activations),
    st.builds(BatchNorm, scale=st.booleans()) | st.just(GlobalAverage()),
)
repeated = st.lists(st.tuples(st.lists(rows, max_size=4), st.integers(1, 3)), max_size=4)


@given(repeated)
def test_any_rows_survive_being_written_and_read(stretches):
    network = tuple(row for stretch, times in stretches for row in stretch * times)
    assert grammar.parse(grammar.format(network)) == network


@given(st.text("INPUTCOVFRELS->[]()*?, 0123x", max_size=40))
def test_any_text_is_a_pattern_or_a_pattern_error(text):
    try:
        grammar.parse(text)
    except grammar.PatternError as error:
        assert str(error).endswith("^")
