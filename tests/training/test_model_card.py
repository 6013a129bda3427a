import shlex

import pytest

from training import train
from training.model_card import command


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--epochs=14",
        "--recipe=airbench --dataset=pictures/cifar10 --width=1.0 --momentum=0.8 --no_lookahead",
        "'--model=INPUT -> [CONV(3x3, 8) -> RELU]*2 -> FC' --seed=3",
    ],
)
def test_command_trains_the_same(line):
    config = train.parse(shlex.split(line))
    told = command(config)
    assert told == f"python -m training.train {line}".rstrip()
    assert train.parse(shlex.split(told)[3:]) == config
