import pytest

from zoo import rows
from zoo.all_conv import is_pool
from zoo.rows import Conv
from zoo.sprint import SPRINT_ALL_CONV, SPRINT_POOL


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (17, 50, 3)])
@pytest.mark.parametrize("width", [1, 1 / 3])
def test_twins_have_equal_parameters_and_equal_multiply_adds(shape, width):
    twins = [rows.sized(twin, 10, width) for twin in (SPRINT_POOL, SPRINT_ALL_CONV)]
    assert len({rows.parameters(twin, shape) for twin in twins}) == 1
    assert len({rows.multiply_adds(twin, shape) for twin in twins}) == 1


def test_twins_differ_in_pooling_alone():
    assert (
        sum(map(is_pool, SPRINT_POOL)) == sum(row.stride == 2 for row in SPRINT_ALL_CONV if isinstance(row, Conv)) == 3
    )
    assert not any(map(is_pool, SPRINT_ALL_CONV))
