import json
import re
import shlex

import pytest
import tensorflow as tf
from PIL import Image

from training import datasets, train

SMALL = ["--width", "0.05", "--epochs", "2", "--batch_size", "8"]


def arguments(folder, *given):
    return [*SMALL, f"--models_root={folder / 'models'}", f"--runs_root={folder / 'runs'}", *given]


def test_training_ends_with_a_served_models_version_and_its_accuracy(tmp_path, write_idx, capsys):
    data = write_idx(tmp_path / "data", count=40)
    train.main(arguments(tmp_path, "--model", "all_cnn_c", "--dataset", "fashion_mnist", "--data_dir", str(data)))
    told = capsys.readouterr().out
    version = tmp_path / "models" / "all_cnn_c" / "1"
    assert re.search(r"Trained in \d+ seconds; right on the test images: [\d.]+% of 20 \(95% interval", told)
    assert f"SavedModel: {version}" in told
    assert "Only 8 steps: too few to learn much in. --batch_size 16 --epochs 334 takes 1,000;" in told
    signatures = tf.saved_model.load(version).signatures
    assert set(signatures) == {"serving_default", "encoded", "classify", "features", "dense"}
    card = json.loads((version / "model_card.json").read_text())
    assert (card["name"], card["seed"], card["dataset"]["train_images"]) == ("all_cnn_c", 0, 40)
    assert card["accuracy"]["images"] == 20 and card["recipe"]["epochs"] == 2
    assert {"parameters", "multiply_adds", "libraries", "seconds", "processor"} <= set(card)


def test_folder_of_pictures_is_trained_on_and_named_as_asked(tmp_path, write_picture, capsys):
    for number in range(10):
        write_picture(tmp_path / "pets" / "cat" / f"{number}.png", (200, number, 0))
        write_picture(tmp_path / "pets" / "dog" / f"{number}.png", (0, number, 200))
    train.main(arguments(tmp_path, "--dataset", str(tmp_path / "pets"), "--name", "pets"))
    version = tmp_path / "models" / "pets" / "1"
    assert (version / "assets" / "labels.txt").read_text().split() == ["cat", "dog"]
    [run] = (tmp_path / "runs").iterdir()
    assert {"best.keras", "last.keras", "train", "validation"} == {path.name for path in run.iterdir()}


def test_pattern_is_trained_as_a_network_is(tmp_path, write_idx):
    pattern = "INPUT -> [CONV(3x3, 8) -> RELU -> POOL]*2 -> FC"
    data = write_idx(tmp_path / "data", count=16)
    train.main(arguments(tmp_path, "--model", pattern, "--data_dir", str(data)))
    card = json.loads((tmp_path / "models" / "pattern" / "1" / "model_card.json").read_text())
    assert card["model"]["name"] == pattern


@pytest.mark.slow
def test_pretrained_network_is_trained_from_nothing_with_its_own_defaults(tmp_path, write_picture):
    for number in range(5):
        for name, colour in ("cat", (200, number, 0)), ("dog", (0, number, 200)):
            write_picture(tmp_path / "pets" / name / f"{number}.png", colour, (32, 32))
    roots = [f"--models_root={tmp_path / 'models'}", f"--runs_root={tmp_path / 'runs'}"]
    train.main(["--model=mobilenet_025", f"--dataset={tmp_path / 'pets'}", "--epochs=1", *roots])
    card = json.loads((tmp_path / "models" / "mobilenet_025" / "1" / "model_card.json").read_text())
    assert (card["model"]["width"], card["recipe"]["inputs"]) == (1.0, "unit")
    assert train.parse(shlex.split(card["command"])[3:]).recipe.inputs == "unit"


@pytest.mark.parametrize(
    "given, sentence",
    [
        (["--model", "all_cnn"], "Did you mean"),
        (["--model", "conv_vae"], "python -m training.train_generative --model conv_vae trains it"),
        (
            ["--model", "mobilenet_025", "--width", "0.5"],
            "mobilenet_025 has one width, and scales the pixels itself: leave --width and --inputs out",
        ),
        (["--models_root", __file__], "test_train.py/all_cnn_c (Not a directory)"),
        (["--runs_root", __file__], "test_train.py (Not a directory)"),
        (["--runs_root", "/proc/x"], "Cannot write to /proc/x"),
        (["--recipe", "fats"], "Known recipes"),
        (["--lookahead"], "lookahead, nesterov and norm_bias_rate are of sgd, got optimizer adamw"),
        (["--batch_size", "0"], "batch_size must be above 0, got 0"),
        (["--validation_share", "0.9"], "at most 0.5"),
        (["--width", "inf"], "width must be finite, got inf"),
        (["--seed", "5000000000"], "seed must be at least 0 and below 2**32, got 5000000000"),
        (["--name", "n" * 300], "name must be at most 150 bytes long, got 300"),
        (["--name", "a/b"], "no / or : in it"),
        (["--name", "a[b]"], "TensorFlow reads no path with [ in it. Give another --name or --models_root"),
        (["--dataset", ""], "No dataset is given"),
        (["--dataset", "fashion_mnist", "--image_size", "64"], "are 28 pixels wide and high"),
        (["--dataset", "docs", "--data_dir", "x"], "--data_dir x is for fashion_mnist and mnist; leave it out"),
        (["--dataset", "nowhere"], "Unknown dataset 'nowhere'"),
        (["--dataset", "fashion_mnist", "--data_dir", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_status_2(tmp_path, capsys, given, sentence):
    with pytest.raises(SystemExit) as stopped:
        train.main(arguments(tmp_path, *given))
    told = re.sub(r"[\s│]+", " ", capsys.readouterr().err)
    assert stopped.value.code == 2
    assert sentence in told and "Traceback" not in told


def test_images_the_network_does_not_fit_are_told(tmp_path, write_picture, capsys):
    for name in "cat", "dog":
        for number in range(5):
            write_picture(tmp_path / "pets" / name / f"{number}.png", size=(4, 4))
    with pytest.raises(SystemExit):
        train.main(arguments(tmp_path, "--dataset", str(tmp_path / "pets")))
    assert "all_cnn_c cannot be built for pets" in capsys.readouterr().err


def pets(folder, colour=0):
    for name in "cat", "dog":
        (folder / "pets [new]" / name).mkdir(parents=True, exist_ok=True)
        for number in range(2):
            Image.new("L", (4, 4), colour).save(folder / "pets [new]" / name / f"{number}.png")
    return datasets.load(str(folder / "pets [new]"))


def test_same_command_goes_on_from_a_saved_state_and_starts_anew_when_finished(tmp_path):
    config, data = train.TrainConfig(runs_root=tmp_path), pets(tmp_path)
    folder = train.run_folder(config, data)
    (folder / "state-000000007.npz").write_text("")
    assert (train.run_folder(config, data) / "state-000000007.npz").exists()
    (folder / "state-000000007.npz").unlink()
    (folder / "old log").write_text("")
    assert not list(train.run_folder(config, data).iterdir())
    other = train.TrainConfig(runs_root=tmp_path, seed=1)
    assert train.run_folder(other, data) != folder


def test_stopped_training_on_other_pictures_is_not_gone_on_with(tmp_path, capsys):
    config = train.TrainConfig(runs_root=tmp_path / "runs", dataset=str(tmp_path / "pets [new]"))
    folder = train.run_folder(config, pets(tmp_path))
    (folder / "state-000000007.npz").write_text("")
    assert train.run_folder(config, pets(tmp_path)) == folder
    assert capsys.readouterr().out == ""
    assert train.run_folder(config, pets(tmp_path, colour=9)) != folder
    told = capsys.readouterr().out
    assert f"pets [new] has changed since the training in {folder} stopped; training starts anew." in told
