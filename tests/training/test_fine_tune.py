import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import zoo
from training import fine_tune, folders, photographs
from training.export import export

COLOURS = {"leaf": (30, 200, 40), "sky": (60, 90, 220), "rust": (190, 70, 30)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Noisy pictures of three colours, of all sizes, with names that are no UTF-8: one class of ten, one of thirty."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("data") / "colours"
    for count, (name, colour) in zip((10, 30, 20), COLOURS.items(), strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.normal(colour, 50, (*random.integers(20, 60, 2), 3)).clip(0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"caf\udce9 {number}.jpg")
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A version of a network of the zoo, untrained, for grey images."""
    keras.utils.set_random_seed(0)
    network = {"name": "all_cnn_c", "width": 0.05, "image_shape": [28, 28, 1]}
    model = zoo.build("all_cnn_c", input_shape=(28, 28, 1), num_classes=10, width=0.05)
    names = [str(number) for number in range(10)]
    root = tmp_path_factory.mktemp("source")
    return export(model, root, "m", class_names=names, card={"model": network})


def run(root, folder, *given):
    fine_tune.main(
        [f"--data={folder}", f"--models_root={root / 'models'}", f"--runs_root={root / 'runs'}", "--epochs=1", *given]
    )


class Run:
    def __init__(self, root, folder, source):
        self.root = root
        run(root, folder, "--backbone=all_cnn_c", f"--weights={source}", "--unfreeze=2")
        self.version = root / "models" / "colours" / "1"
        self.card = json.loads((self.version / "model_card.json").read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory, folder, source):
    return Run(tmp_path_factory.mktemp("run"), folder, source)


def test_version_has_all_signatures_and_the_folders_names(finished):
    names = {"serving_default", "encoded", "classify", "features", "dense"}
    assert set(tf.saved_model.load(finished.version).signatures) == names
    assert (finished.version / "assets" / "labels.txt").read_text().split() == ["leaf", "rust", "sky"]
    assert finished.card["model"] == {"name": "all_cnn_c", "width": 0.05, "image_shape": [28, 28, 1], "front": []}
    assert finished.card["dataset"]["train_images"] == 48 and finished.card["dataset"]["test_images"] == 12
    assert finished.card["recipe"]["unfreeze"] == 2 and finished.card["accuracy"]["images"] == 12


def test_reports_are_pictures(finished):
    for name in "confusion.png", "mistakes.png":
        with Image.open(finished.root / "runs" / "colours" / name) as picture:
            assert min(picture.size) > 100


def test_served_model_gives_the_accuracy_it_was_published_with(finished, folder):
    photos = photographs.read(
        photographs.find(folder, 0), (28, 28, 1), photographs.cache_folder(finished.root / "runs", folder)
    )
    test = np.flatnonzero(photos.is_test)
    signature = tf.saved_model.load(finished.version).signatures["encoded"]
    contents = [(folder / photos.paths[at]).read_bytes() for at in test]
    probabilities = signature(image_bytes=tf.constant(contents))["probabilities"].numpy()
    correct = (probabilities.argmax(axis=1) == photos.labels[test]).sum()
    assert abs(correct - finished.card["accuracy"]["correct"]) <= 1  # decoders differ by a tone


def test_folder_that_another_command_reads_is_refused(finished, folder, source, capsys):
    with folders.locked(photographs.cache_folder(finished.root / "runs", folder)):
        with pytest.raises(SystemExit) as refused:
            run(finished.root, folder, "--backbone=all_cnn_c", f"--weights={source}")
    assert refused.value.code == 2
    assert "Another command is training in" in capsys.readouterr().err


def test_second_run_tells_its_scores_and_reads_no_picture_again(finished, folder, source, capsys):
    run(finished.root, folder, "--backbone=all_cnn_c", f"--weights={source}", "--regime=features-only")
    told = capsys.readouterr().out
    assert "Reading pictures" not in told and "Computing features" not in told
    assert re.search(r"Frozen: right on the validation pictures: [\d.]+% of \d", told)
    assert re.search(r"Right on the test pictures: [\d.]+% of 12 \(95% interval", told)
    assert "Always guessing the commonest class, sky: 50.00% of 12" in told
    assert re.search(r"Seconds: pictures [\d.]+, features [\d.]+, head [\d.]+, export [\d.]+", told)
    assert f"SavedModel: {finished.root / 'models' / 'colours' / '2'}" in told


def test_weights_that_are_no_numbers_are_refused_before_anything_is_learned(tmp_path, folder, source, capsys):
    model = zoo.build("all_cnn_c", input_shape=(28, 28, 1), num_classes=10, width=0.05)
    bias = model.get_layer("conv8").bias  # the last before the class scores
    bias.assign(np.full(bias.shape, np.inf))
    card = json.loads((source / "model_card.json").read_text())
    names = [str(number) for number in range(10)]
    broken = export(model, tmp_path, "nan", class_names=names, card=card)
    with pytest.raises(SystemExit):
        run(tmp_path, folder, "--backbone=all_cnn_c", f"--weights={broken}")
    assert "gives features that are no finite numbers" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    "given, sentence",
    [
        (["--data=nowhere"], "nowhere is not there"),
        (["--backbone=mobilnet"], "Did you mean 'mobilenet'?"),
        (["--regime=frozen"], "features-only"),
        (["--unfreeze=0"], "unfreeze must be above 0, got 0"),
        (["--validation_share=0.9"], "at most 0.5"),
        (["--name=a/b"], "no / or : in it"),
        (["--backbone=all_cnn_c"], "all_cnn_c has no ImageNet weights"),
        (["--backbone=mobilenet_025", "--weights=no.h5"], "There is no weights file no.h5"),
        (["--backbone=mobilenet_025", "--weights=/tmp"], "/tmp is a folder; expected a file of Keras weights"),
        ([f"--models_root={__file__}"], "test_fine_tune.py/colours (Not a directory)"),
        ([f"--runs_root={__file__}"], "test_fine_tune.py/colours (Not a directory)"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_status_2(tmp_path, folder, capsys, given, sentence):
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, folder, *given)
    told = re.sub(r"[\s│]+", " ", capsys.readouterr().err)
    assert stopped.value.code == 2
    assert sentence in told and "Traceback" not in told
