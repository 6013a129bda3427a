import keras
import numpy as np
import pytest

from training import checkpoints
from training.checkpoints import Progress


def built(units=2):
    images = keras.Input((3,))
    model = keras.Model(images, keras.layers.Dropout(0.5)(keras.layers.Dense(units)(images)))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def values(model):
    return [np.asarray(variable) for variable in checkpoints.variables(model)]


def stepped(model, step):
    """Changes every variable: the kernel to `step`, the dropout's random state and the momentum by training."""
    model.fit(np.ones((1, 3)), np.zeros((1, 2)), verbose=0)
    model.layers[1].kernel.assign(np.full((3, 2), step, "float32"))
    return model


def test_state_comes_back_with_seeds_and_momentum(tmp_path):
    model = stepped(built(), 5)
    checkpoints.save(tmp_path, model, Progress(5, 1.5, 0.25))
    other = built()
    assert checkpoints.restore(tmp_path, other) == Progress(5, 1.5, 0.25)
    for got, want in zip(values(other), values(model), strict=True):
        np.testing.assert_array_equal(got, want)


def test_seed_generators_are_part_of_the_state():
    assert any("seed" in variable.path for variable in checkpoints.variables(built()))


def test_empty_folder_is_a_new_start(tmp_path):
    assert checkpoints.restore(tmp_path, built()) == Progress(0, 0.0, -1.0)


def test_two_newest_states_are_kept(tmp_path):
    for step in 1, 2, 30:
        checkpoints.save(tmp_path, built(), Progress(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state-000000002.npz", "state-000000030.npz"]


def test_states_that_cannot_be_read_are_out_of_the_way_of_new_ones(tmp_path):
    for step in 10, 20, 30:
        checkpoints.save(tmp_path, built(), Progress(step))
    (tmp_path / "state-000000030.npz").write_bytes(b"damaged")
    model = built()
    assert checkpoints.restore(tmp_path, model).step == 20
    checkpoints.save(tmp_path, model, Progress(25))
    names = ["state-000000020.npz", "state-000000025.npz", "unread-state-000000030.npz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    checkpoints.clear(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_training_that_starts_anew_beside_another_networks_states_keeps_its_own(tmp_path):
    checkpoints.save(tmp_path, built(units=7), Progress(400))
    model = built()
    checkpoints.restore(tmp_path, model)
    checkpoints.save(tmp_path, model, Progress(1))
    assert checkpoints.restore(tmp_path, built()).step == 1


def with_a_bit_of_its_directory_set(data):
    """One that says that the first array is encrypted."""
    at = data.index(b"PK\1\2") + 8
    return data[:at] + bytes([data[at] | 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data[:200] + b"x" + data[201:],
        with_a_bit_of_its_directory_set,
    ],
)
def test_damaged_newest_state_falls_back_to_the_one_before_with_a_warning(tmp_path, capsys, damage):
    for step in 1, 2:
        checkpoints.save(tmp_path, stepped(built(), step), Progress(step))
    newest = tmp_path / "state-000000002.npz"
    newest.write_bytes(damage(newest.read_bytes()))
    model = built()
    assert checkpoints.restore(tmp_path, model).step == 1
    assert (np.asarray(model.layers[1].kernel) == 1).all()
    assert str(newest) in capsys.readouterr().err


def test_state_of_another_network_changes_nothing_and_training_is_told_to_start_anew(tmp_path, capsys):
    checkpoints.save(tmp_path, built(units=7), Progress(4))
    model = built()
    before = values(model)
    assert checkpoints.restore(tmp_path, model) == Progress()
    assert "training starts anew" in capsys.readouterr().err
    for got, want in zip(values(model), before, strict=True):
        np.testing.assert_array_equal(got, want)


def test_write_that_fails_leaves_nothing_and_keeps_what_was_there(tmp_path):
    path = tmp_path / "state.npz"
    path.write_text("before")
    with pytest.raises(OSError, match="full"), checkpoints.written_whole(path) as file:
        file.write(b"half")
        raise OSError("disk full")
    assert [each.name for each in tmp_path.iterdir()] == ["state.npz"]
    assert path.read_text() == "before"
