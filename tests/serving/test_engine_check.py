import numpy as np
import pytest

from serving.engine_check import UnequalError, check
from serving.errors import Code, ServingError

F32 = np.dtype(np.float32)


class Network:
    """A network as the check sees it: `run` is given."""

    def __init__(self, run, shapes=((None, 4),), dtypes=(F32,), precision="f32"):
        self.run, self.shapes, self.dtypes, self.precision = run, shapes, dtypes, precision


def doubled(arrays):
    return [2 * arrays[0]]


def test_equal_networks_differ_by_nothing():
    assert check(Network(doubled), doubled) == 0


def test_difference_is_a_share_of_the_largest_value():
    assert check(Network(lambda arrays: [2.00001 * arrays[0]]), doubled) == pytest.approx(5e-6, rel=0.2)


@pytest.mark.parametrize(
    "run, reason",
    [
        (lambda arrays: [2.01 * arrays[0]], "differs from TensorFlow by 5e-03 of the largest value"),
        (lambda arrays: [2 * arrays[0][:, :2]], r"gives the shape \[1, 2\] where TensorFlow gives \[1, 4\]"),
        (lambda arrays: [arrays[0] / 0], "gives finite numbers where TensorFlow does not, or the other way round"),
        (lambda arrays: [2 * arrays[0] - arrays[0].mean(0) * (len(arrays[0]) > 1)], "differs from TensorFlow"),
    ],
)
def test_network_that_answers_otherwise_is_found_out(run, reason):
    with np.errstate(all="ignore"), pytest.raises(UnequalError, match=reason):
        check(Network(run), doubled)


def test_bfloat16_may_differ_by_more():
    assert check(Network(lambda arrays: [2.02 * arrays[0]], precision="bf16"), doubled) == pytest.approx(0.01, rel=0.2)
    with pytest.raises(UnequalError, match="differs from TensorFlow by 2e-01 of the largest value"):
        check(Network(lambda arrays: [2.4 * arrays[0]], precision="bf16"), doubled)


def test_both_sides_see_batches_of_several_sizes_and_the_extremes_of_pixels():
    seen = []

    def run(arrays):
        seen.append(arrays[0])
        return [arrays[0].astype(np.float32)]

    check(Network(run, [(None, 2, 2, 1)], [np.dtype(np.uint8)]), lambda arrays: [arrays[0].astype(np.float32)])
    assert {len(array) for array in seen} == {1, 7, 17}
    assert any((array == 0).all() for array in seen) and any((array == 255).all() for array in seen)


def test_free_sides_are_as_large_as_tensorflow_wants_them():
    def reference(arrays):
        if arrays[0].shape[1] < 100:
            raise ServingError(Code.INVALID_ARGUMENT, "Too small.")
        return doubled(arrays)

    assert check(Network(doubled, [(None, None, None, 1)]), reference) == 0


@pytest.mark.parametrize(
    "shapes, reason",
    [
        ([None], "the rank of an input of its network is not known"),
        ([(None, None)], "TensorFlow takes none of 64, 224"),
    ],
)
def test_shape_that_cannot_be_guessed_is_said(shapes, reason):
    def reference(arrays):
        raise ServingError(Code.INVALID_ARGUMENT, "Never.")

    with pytest.raises(UnequalError, match=reason):
        check(Network(doubled, shapes), reference)
