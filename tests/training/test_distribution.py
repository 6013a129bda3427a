"""Several devices and several processes on this machine, over loopback."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from training import distribution
from training.errors import InputError

ROOT = Path(__file__).parents[2]

# With each recipe 3 epochs of 4 steps. argv: one, mirror (two virtual CPUs) or machines (TF_CONFIG); folder
PROGRAM = """
import pathlib, sys
import tensorflow as tf
from training import distribution, recipes
kind, root = sys.argv[1], pathlib.Path(sys.argv[2])
if kind == "mirror":
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
else:
    strategy = distribution.choose_strategy()
import keras
import numpy as np
from training.batches import Batches
from training.datasets import Split
random = np.random.default_rng(0)
split = Split(random.integers(0, 256, (32, 8, 8, 1), np.uint8), random.integers(0, 3, 32).astype(np.int32))
for name in "fast", "paper", "airbench":
    given = {"dropout": 0.0, "shift": 1, "learning_rate": 0.02, "low_resolution_share": 0.0 if name == "paper" else 0.4}
    recipe = recipes.recipe(name, epochs=3, batch_size=8, **given)
    keras.utils.set_random_seed(0)
    batches = Batches(split, 3, recipe, 0)
    with distribution.scope(strategy):
        images = keras.Input((8, 8, 1), dtype="uint8")
        x = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(images))
        x = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(x))
        model = keras.Model(images, keras.layers.Dense(3, activation="softmax")(x))
        recipes.compile_for_training(model, recipe, batches.steps * recipe.epochs)
    folder = root / name
    if distribution.is_chief(strategy):
        folder.mkdir(parents=True)
    distribution.fit(strategy, model, batches, split, recipe.epochs, folder)
    if distribution.is_chief(strategy):
        np.savez(folder / "weights.npz", *model.get_weights())
"""


def free_ports(count):
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(scope="module")
def start():
    """Starts a Python process; with `workers`, one for each of so many machines. Kills what a failing test leaves."""
    running = []

    def start_all(arguments, workers=None):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(workers or 0)]
        for index in range(workers or 1):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            given = {"TF_CONFIG": json.dumps(task)} if workers else {}
            running.append(
                subprocess.Popen(
                    [sys.executable, *arguments],
                    cwd=ROOT,
                    env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **given},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        return running[-(workers or 1) :]

    yield start_all
    for process in running:
        process.kill()
        process.communicate()


def curve(folder):
    """Loss and validation loss after each epoch, as TensorBoard has them."""
    values = []
    for part in "train", "validation":
        for path in sorted((folder / part).glob("events.*")):
            for event in tf.compat.v1.train.summary_iterator(str(path)):
                values += [tf.make_ndarray(value.tensor) for value in event.summary.value if value.tag == "epoch_loss"]
    return np.array(values, float)


@pytest.fixture(scope="module")
def trained(start, tmp_path_factory):
    """The folder of trainings, <kind>/<recipe>."""
    root = tmp_path_factory.mktemp("trained")
    kinds = {"one": None, "mirror": None, "machines": 2}
    processes = [
        process
        for kind, workers in kinds.items()
        for process in start(["-c", PROGRAM, kind, str(root / kind)], workers)
    ]
    for status, _, told in ended(processes):
        assert status == 0, told
    return root


@pytest.mark.parametrize("recipe", ["fast", "paper", "airbench"])
@pytest.mark.parametrize("kind", ["mirror", "machines"])
def test_two_devices_and_two_machines_have_the_loss_curve_and_weights_of_one(kind, recipe, trained):
    want = curve(trained / "one" / recipe)
    assert want.shape == (6,) and np.isfinite(want).all()
    np.testing.assert_allclose(curve(trained / kind / recipe), want, rtol=1e-4)
    one, other = (np.load(trained / each / recipe / "weights.npz") for each in ("one", kind))
    with one, other:
        for name in one.files:
            np.testing.assert_allclose(other[name], one[name], atol=1e-4)


def write_pets(folder):
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(25):
            Image.fromarray(random.integers(0, 256, (16, 16), np.uint8)).save(folder / name / f"{number}.png")
    return folder


def wait_for(condition, processes, timeout_s=240):
    """Until `condition()` is true; fails when a process ends before."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"It ended with {process.wait(timeout=0.02)}: {process.communicate()}")


def ended(processes):
    """[(exit status, stdout, stderr)]."""
    told = [process.communicate(timeout=240) for process in processes]
    return [(process.returncode, *each) for process, each in zip(processes, told, strict=True)]


@pytest.fixture
def job(start, tmp_path):
    """Starts the program on two machines: (chief, other)."""
    pets = write_pets(tmp_path / "pets")

    def start_job(epochs):
        given = ["--dataset", str(pets), "--width", "0.05", "--batch_size", "8", "--name", "pets"]
        given += ["--models_root", str(tmp_path / "models"), "--runs_root", str(tmp_path / "runs")]
        return start(["-m", "training.train", *given, "--epochs", str(epochs)], 2)

    return start_job


@pytest.mark.slow
def test_lost_worker_stops_the_job_and_the_same_command_continues_until_one_is_interrupted(job, tmp_path):
    def newest():
        return max((path.name for path in (tmp_path / "runs").glob("*/state-*.npz")), default="")

    endless = 1_000_000
    chief, other = job(endless)
    wait_for(newest, (chief, other))
    other.kill()
    [(status, _, told)] = ended([chief])
    assert status == 2 and "Another worker is gone" in told and "Give the same command on every machine" in told
    assert "Traceback" not in told
    reached = newest()

    chief, other = job(endless)
    wait_for(lambda: newest() > reached, (chief, other))
    other.send_signal(signal.SIGTERM)
    for status, told, errors in ended((chief, other)):
        assert status == 130 and "Continue with: python -m training.train" in errors
        assert f"Epoch 1/{endless}" not in told


@pytest.mark.slow
def test_finished_job_exports_once(job, tmp_path):
    (status, told, _), (other_status, other_told, _) = ended(job(epochs=2))
    assert (status, other_status) == (0, 0)
    assert "SavedModel:" in told and "SavedModel:" not in other_told
    assert [path.name for path in (tmp_path / "models" / "pets").iterdir()] == ["1"]


# Presses Ctrl-C while a step of a training runs, of 4 in an epoch; prints after how many steps it stopped.
PRESSED = """
import pathlib, signal, sys
import tensorflow as tf
import keras
import numpy as np
from training import distribution, recipes
from training.batches import Batches
from training.datasets import Split
from training.errors import Interrupted

class PressesInStep(keras.layers.Layer):
    def build(self, input_shape):
        self.step = tf.Variable(0, trainable=False)

    def call(self, x, training=False):
        return tf.ensure_shape(tf.numpy_function(self.press, [x], x.dtype), x.shape) if training else x

    def press(self, x):
        if self.step.assign_add(1) == int(sys.argv[2]):
            signal.raise_signal(signal.SIGINT)
        return x

recipe = recipes.recipe("fast", epochs=5, batch_size=8)
split = Split(np.zeros((32, 8, 8, 1), np.uint8), np.arange(32, dtype=np.int32) % 3)
batches = Batches(split, 3, recipe, 0)
strategy = tf.distribute.MirroredStrategy(["CPU:0"])
with strategy.scope():
    images = keras.Input((8, 8, 1), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images))
    model = keras.Model(images, keras.layers.Dense(3, activation="softmax")(PressesInStep()(x)))
    recipes.compile_for_training(model, recipe, batches.steps * recipe.epochs)
try:
    distribution.fit(strategy, model, batches, split, recipe.epochs, pathlib.Path(sys.argv[1]))
except Interrupted:
    print("stopped after", np.asarray(model.optimizer.iterations))
"""


@pytest.mark.parametrize("pressed, is_whole_epoch", [(2, False), (3, True)])
def test_signal_that_comes_while_a_step_runs_stops_after_the_next(start, tmp_path, pressed, is_whole_epoch):
    [(status, told, errors)] = ended(start(["-c", PRESSED, str(tmp_path), str(pressed)]))
    assert status == 0, errors
    assert told.endswith(f"stopped after {pressed + 1}\n")
    assert ("val_accuracy" in told) == (tmp_path / "best.keras").exists() == is_whole_epoch


@pytest.mark.parametrize(
    "given",
    [
        "",
        "{}",
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "chief", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_tf_config_that_names_no_worker_is_told(given):
    with pytest.raises(InputError, match="TF_CONFIG must name the workers, no other job, and which of them this is"):
        distribution.choose_strategy({"TF_CONFIG": given})


def test_one_device_needs_no_strategy():
    assert distribution.choose_strategy({}) is None
    assert distribution.is_chief(None)


def test_batch_that_the_devices_cannot_share_is_told():
    with pytest.raises(InputError, match="A batch of 9 images cannot be divided among 2 devices"):
        distribution.require_divisible(9, 2)
