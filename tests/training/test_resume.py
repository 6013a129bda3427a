"""The whole program, killed and started again."""

import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from training import train

ROOT = Path(__file__).parents[2]
EPOCHS = 60  # of 4 steps


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "pets"
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(25):
            Image.fromarray(random.integers(0, 256, (16, 16), np.uint8)).save(folder / name / f"{number}.png")
    return folder


def arguments(folder, pets):
    return [
        *("--dataset", str(pets), "--width", "0.05", "--epochs", str(EPOCHS), "--batch_size", "8"),
        *("--models_root", str(folder / "models"), "--runs_root", str(folder / "runs")),
    ]


@pytest.fixture
def start(pets, tmp_path):
    """Starts the program on `tmp_path`; kills what a failing test leaves running."""
    running = []

    def start_one(limit_disk=None):
        command = [sys.executable, "-m", "training.train", *arguments(tmp_path, pets)]
        running.append(
            subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit_disk
            )
        )
        return running[-1]

    yield start_one
    for process in running:
        process.kill()
        process.communicate()


def states(folder):
    return sorted(folder.glob("runs/*/state-*.npz"))


def wait_for_states(folder, process, count=2, timeout_s=120):
    deadline = time.monotonic() + timeout_s
    while len(states(folder)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no state was saved"


def last_weights(folder):
    [path] = folder.glob("runs/*/last.keras")
    return keras.saving.load_model(path).get_weights()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, pets):
    folder = tmp_path_factory.mktemp("unbroken")
    train.main(arguments(folder, pets))
    return last_weights(folder)


def test_killed_training_goes_on_to_the_very_same_weights(start, tmp_path, unbroken):
    process = start()
    wait_for_states(tmp_path, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "models").exists()
    told, errors = start().communicate(timeout=120)
    assert "SavedModel:" in told, errors
    assert f"Epoch 1/{EPOCHS}" not in told
    for got, want in zip(last_weights(tmp_path), unbroken, strict=True):
        np.testing.assert_array_equal(got, want)


def test_ctrl_c_saves_and_prints_the_command_that_goes_on(start, tmp_path):
    process = start()
    wait_for_states(tmp_path, process)
    newest = states(tmp_path)[-1]
    process.send_signal(signal.SIGINT)
    told, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped. Continue with: python -m training.train --dataset" in errors and str(tmp_path / "runs") in errors
    assert "Traceback" not in errors
    assert states(tmp_path)[-1] >= newest


def test_second_run_of_the_same_command_is_refused_while_the_first_goes_on(start, tmp_path):
    process = start()
    wait_for_states(tmp_path, process)
    _, errors = start().communicate(timeout=60)
    assert "Another command is training in" in errors and "Traceback" not in errors
    assert process.poll() is None and states(tmp_path)


def no_file_above_64_kib():
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, 64 * 1024))


def test_disk_that_takes_no_more_stops_training_with_a_sentence(start, tmp_path):
    process = start(limit_disk=no_file_above_64_kib)
    told, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "Cannot save to" in errors and "Traceback" not in errors
    assert not list(tmp_path.glob("runs/*/*unfinished*"))
