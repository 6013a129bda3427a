import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from training import checkpoints, train_generative
from training.batches import Batches
from training.datasets import Dataset, Split
from training.errors import Interrupted
from training.export import export
from training.fit import StateKeeper, run

LATENTS = {"conv_vae": 32, "dcgan": 100}


def arguments(folder, *given):
    roots = [f"--models_root={folder / 'models'}", f"--runs_root={folder / 'runs'}", f"--data_dir={folder / 'data'}"]
    return [*roots, "--width=0.05", "--epochs=2", "--batch_size=8", *given]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    images = keras.Input((28, 28, 1), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(3, 3)(x))
    model = keras.Model(images, keras.layers.Softmax()(keras.layers.Dense(2, name="logits")(x)))
    root = tmp_path_factory.mktemp("classifier")
    return export(model, root, "c", class_names=("a", "b"), card={})


class Trained:
    def __init__(self, folder, model, classifier):
        config = train_generative.GenerativeConfig(
            model=model,
            data_dir=folder / "data",
            width=0.05,
            epochs=2,
            batch_size=8,
            classifier=classifier,
            models_root=folder / "models",
            runs_root=folder / "runs",
        )
        self.name, self.path = model, train_generative.train(config)
        [self.run] = (folder / "runs").iterdir()
        self.card = json.loads((self.path / "model_card.json").read_text())
        self.signatures = tf.saved_model.load(self.path).signatures


@pytest.fixture(scope="module", params=LATENTS)
def trained(request, tmp_path_factory, write_idx, classifier):
    folder = tmp_path_factory.mktemp(request.param)
    write_idx(folder / "data", count=24)
    return Trained(folder, request.param, classifier)


def specs(signature, side):
    given = signature.structured_input_signature[1] if side == "inputs" else signature.structured_outputs
    return {name: (spec.dtype, spec.shape.as_list()) for name, spec in given.items()}


def test_signatures_are_the_designs(trained):
    images, latents = (tf.uint8, [None, 28, 28, 1]), (tf.float32, [None, LATENTS[trained.name]])
    expected = {
        "conv_vae": {
            "serving_default": ({"images": images}, {"reconstructions": images}),
            "encode": ({"images": images}, {"latents": latents, "log_variance": latents}),
            "decode": ({"latents": latents}, {"images": images}),
        },
        "dcgan": {"serving_default": ({"latents": latents}, {"images": images})},
    }
    assert {
        name: (specs(each, "inputs"), specs(each, "outputs")) for name, each in trained.signatures.items()
    } == expected[trained.name]


@pytest.mark.parametrize("trained", ["conv_vae"], indirect=True)
def test_reconstructions_are_decoded_codes(trained):
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8))
    latents = trained.signatures["encode"](images=images)["latents"]
    np.testing.assert_array_equal(
        trained.signatures["decode"](latents=latents)["images"],
        trained.signatures["serving_default"](images=images)["reconstructions"],
    )


def test_measures_are_announced_where_there_are_any(capsys, tmp_path, write_idx):
    write_idx(tmp_path / "data", count=24)
    for model, announced in ("dcgan", False), ("conv_vae", True):
        train_generative.main(arguments(tmp_path, f"--model={model}", "--epochs=1"))
        assert ("On the test images:" in capsys.readouterr().out) == announced


def test_each_epoch_leaves_grids_in_the_run_and_in_tensorboard(trained):
    kinds = ["samples", "reconstructions"][: 2 if trained.name == "conv_vae" else 1]
    for kind in kinds:
        for epoch in 1, 2:
            with Image.open(trained.run / f"{kind}-00{epoch}.png") as picture:
                assert picture.size[0] == 8 * 28 + 7 * 2
    [events] = (trained.run / "samples").iterdir()
    read = tf.compat.v1.train.summary_iterator(str(events))
    logged = [(value.tag, event.step) for event in read for value in event.summary.value]
    assert sorted(logged) == sorted((kind, epoch) for kind in kinds for epoch in (0, 1))


def test_card_has_the_measures_of_its_kind(trained):
    vae = {"reconstruction_nats", "kl_nats", "bits_per_dimension"} if trained.name == "conv_vae" else set()
    assert set(trained.card["measures"]) == vae | {"frechet_distance", "frechet_distance_training_images"}
    assert all(value >= 0 for value in trained.card["measures"].values())
    assert trained.card["recipe"]["epochs"] == 2 and trained.card["parameters"] > 0


def test_warmup_file_is_beside_the_model_and_labels_are_not(trained):
    assert (trained.path / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0
    assert not (trained.path / "assets" / "labels.txt").exists()


class CtrlC(keras.callbacks.Callback):
    """Presses it after step `at`."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == self.at:
            signal.raise_signal(signal.SIGINT)


def partly_trained(model, folder, until=None):
    """The trainer after two epochs of three steps, or interrupted after step `until`."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    split = Split(random.integers(0, 256, (12, 16, 16, 1), np.uint8), np.zeros(12, np.int32))
    data = Dataset("noise", ("a", "b"), split, split, "here")
    config = train_generative.GenerativeConfig(model=model, width=0.05, epochs=2, batch_size=4)
    keras.utils.set_random_seed(0)
    trainer = train_generative.build(config, data)
    keeper = StateKeeper(folder, checkpoints.restore(folder, trainer), trainer)
    batches = Batches(split, 2, config.recipe, 0)
    run(trainer, batches, 2, keeper, [*trainer.tests(split.images), CtrlC(until), keeper])
    return trainer


def check_that_interrupted_goes_on(model, folder):
    whole = partly_trained(model, folder / "whole")
    with pytest.raises(Interrupted):
        partly_trained(model, folder / "stopped", until=4)
    continued = partly_trained(model, folder / "stopped")
    for got, want in zip(checkpoints.variables(continued), checkpoints.variables(whole), strict=True):
        # a step more or less, or another batch or noise, moves weights by their learning rate, 2e-4 or 1e-3
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), atol=1e-5)


@pytest.mark.parametrize("model", LATENTS)
def test_interrupted_training_goes_on_to_the_same_weights(model, tmp_path):
    """In a process of its own, which the signal is for."""
    here = Path(__file__)
    program = (
        "import pathlib, sys; sys.path.insert(0, sys.argv[1]); import test_train_generative as here; "
        "here.check_that_interrupted_goes_on(sys.argv[2], pathlib.Path(sys.argv[3]))"
    )
    command = [sys.executable, "-c", program, str(here.parent), model, str(tmp_path)]
    run = subprocess.run(command, cwd=here.parents[2], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "given, sentence",
    [
        (["--model", "all_cnn_c"], "conv_vae"),
        (["--epochs", "0"], "epochs must be above 0, got 0"),
        (["--width", "inf"], "width must be finite, got inf"),
        (["--seed", "5000000000"], "seed must be at least 0 and below 2**32, got 5000000000"),
        (["--models_root", __file__], "test_train_generative.py/conv_vae (Not a directory)"),
        (["--classifier", "nowhere"], "nowhere holds no SavedModel"),
        (["--dataset", "nowhere"], "Unknown dataset 'nowhere'"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_status_2(tmp_path, write_idx, capsys, given, sentence):
    write_idx(tmp_path / "data")
    with pytest.raises(SystemExit) as stopped:
        train_generative.main(arguments(tmp_path, *given))
    assert stopped.value.code == 2
    assert sentence in re.sub(r"[\s│]+", " ", capsys.readouterr().err)


def test_images_the_network_does_not_fit_are_told(tmp_path, write_picture, capsys):
    for name in "cat", "dog":
        for number in range(5):
            write_picture(tmp_path / "pets" / name / f"{number}.png", size=(9, 9))
    with pytest.raises(SystemExit):
        train_generative.main([f"--dataset={tmp_path / 'pets'}", f"--runs_root={tmp_path}"])
    assert "conv_vae cannot be built for pets, (9, 9, 3)" in capsys.readouterr().err
