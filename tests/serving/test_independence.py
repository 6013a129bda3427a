import numpy as np
import pytest

from serving.errors import Code, ServingError
from serving.independence import Independence


def requests(*rows):
    return [{"x": np.array([row])} for row in rows]


def strings(*rows):
    return [{"x": np.array([row], object)} for row in rows]


def doubled(inputs):
    return {"y": 2 * inputs["x"]}


def centred(inputs):
    return {"y": inputs["x"] - inputs["x"].mean(0)}


def tallest_first(inputs):
    return {"y": np.sort(inputs["x"], 0)}


def counted(inputs):
    return {"y": np.array([len(inputs["x"])])}


def of_unit_or_pixel_range(inputs):
    return {"y": inputs["x"] / 255 if inputs["x"].max() > 1.5 else inputs["x"]}


def in_capitals_if_all(inputs):
    return {"y": inputs["x"] & inputs["x"].all()}


def mean_place_of_words(inputs):
    """As a mean over words of texts that are padded to the longest."""
    words = [text.split() for text in inputs["x"]]
    return {"y": np.array([len(each) / max(1, *map(len, words)) for each in words])}


def padded_to_the_longest(inputs):
    longest = max(map(len, inputs["x"]))
    return {"y": np.array([list(text.ljust(longest)) for text in inputs["x"]])}


def ranked_where_far(inputs):
    """Rows are alone among the numbers that are made up, none of which is beyond 255."""
    x = inputs["x"]
    return {"y": x - x.max(0) if (np.abs(x) > 1000).any() else x}


def lengths(inputs):
    if not all(text.startswith(b"PNG") for text in inputs["x"]):
        raise ServingError(Code.INVALID_ARGUMENT, "Pictures are wanted.")
    return {"y": np.array([len(text) for text in inputs["x"]])}


@pytest.mark.parametrize(
    "run, reason",
    [
        (doubled, ""),
        (centred, "output 'y' of a row depends on the rows beside it"),
        (tallest_first, "output 'y' of a row depends on the rows beside it"),
        (counted, "output 'y' has the shape [1] in a batch, [4] apart"),
        (of_unit_or_pixel_range, "output 'y' of a row depends on the rows beside it"),
    ],
)
def test_random_numbers_tell_whether_rows_are_independent(run, reason):
    independence = Independence()
    independence.learn(requests([1.0, 2.0], [1.0, 2.0]), run)
    assert (independence.is_known, independence.reason) == (True, reason)


@pytest.mark.parametrize(
    "like, run",
    [
        (np.array([[True]]), in_capitals_if_all),
        (np.array([b"one"], object), mean_place_of_words),
        (np.zeros((1, 9), np.uint8), of_unit_or_pixel_range),
    ],
)
def test_made_up_flags_texts_and_pixels_tell_it_too(like, run):
    independence = Independence()
    independence.learn([{"x": like}, {"x": like}], run)
    assert independence.reason == "output 'y' of a row depends on the rows beside it"


def test_requests_themselves_tell_where_numbers_cannot_be_made_up():
    independence = Independence()
    independence.learn(strings(b"PNG one", b"PNG three"), lengths)
    assert (independence.is_known, independence.reason) == (True, "")


def test_requests_themselves_are_tried_after_made_up_numbers():
    independence = Independence()
    independence.learn(requests([2000.0], [3000.0]), ranked_where_far)
    assert independence.reason == "output 'y' of a row depends on the rows beside it"


def test_answers_that_no_batch_can_hold_are_a_reason():
    independence = Independence()
    independence.learn(strings(b"one", b"three"), padded_to_the_longest)
    assert (independence.is_known, independence.reason) == (True, "output 'y' of each request has a shape of its own")


@pytest.mark.parametrize("rows", [(b"PNG", b"PNG"), (b"PNG", b"broken")])
def test_nothing_is_known_after_requests_that_are_alike_or_fail(rows):
    independence = Independence()
    independence.learn(strings(*rows), lengths)
    assert not independence.is_known


def test_trial_that_takes_too_long_is_a_reason():
    def endless_at_zero(inputs):
        if not inputs["x"].all():
            raise ServingError(Code.DEADLINE_EXCEEDED, "Timed out.")
        return inputs

    independence = Independence()
    independence.learn(requests([1.0], [2.0]), endless_at_zero)
    assert (independence.is_known, independence.reason) == (True, "")
    independence = Independence()
    independence.learn(requests([0.0], [2.0]), endless_at_zero)
    assert (independence.is_known, independence.reason) == (True, "trials take too long")


def test_nothing_is_known_until_all_has_been_tried():
    independence = Independence()

    def run(inputs):
        assert not independence.is_known
        return doubled(inputs)

    independence.learn(requests([1.0], [2.0]), run)
    assert independence.is_known


def test_what_is_known_is_not_tried_again():
    independence = Independence()
    independence.learn(requests([1.0], [2.0]), doubled)
    independence.learn(requests([1.0], [2.0]), None)
    assert independence.is_known
