import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from training import evaluate
from training.export import export

NAMES = ("dark", "light")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A served model in two versions; the newer tells dark from light, the older says dark always."""
    root = tmp_path_factory.mktemp("models")
    for bias, gain in (0.0, 0.0), (-50.0, 100.0):
        images = keras.Input((16, 16, 1), dtype="uint8")
        mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
        dense = keras.layers.Dense(2, activation="softmax")
        model = keras.Model(images, dense(mean))
        dense.set_weights([np.array([[0, gain]]), np.array([0.001, bias])])
        export(model, root, "tones", features=keras.Model(images, mean), class_names=NAMES, card={})
    return root


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """Ten dark and ten light test pictures, two of the light ones dark."""
    folder = tmp_path_factory.mktemp("data") / "tones"
    for part in "train", "test":
        for name, tone in zip(NAMES, (20, 230), strict=True):
            (folder / part / name).mkdir(parents=True)
            for number in range(10):
                pixels = np.full((16, 16), 20 if number < 2 else tone, np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{number}.png")
    return folder


def run(models, tones, results, *given):
    evaluate.main([str(models / "tones"), "--dataset", str(tones), "--results_root", str(results), *given])


def test_report_has_every_measure(models, tones, tmp_path, capsys):
    run(models, tones, tmp_path)
    report = json.loads((tmp_path / "tones-2-tones" / "report.json").read_text())
    assert report["accuracy"]["correct"] == 18 and report["accuracy"]["images"] == 20
    assert report["confusion"] == [[10, 0], [2, 8]]
    assert [row["recall"] for row in report["classes"]] == [1.0, 0.8]
    assert report["calibration_error"] == pytest.approx(0.1, abs=1e-3)
    assert [(row["pixels"], row["same"]) for row in report["shifts"]] == [(pixels, 1.0) for pixels in range(5)]
    told = capsys.readouterr().out
    assert "90.00% of 20 (95% interval 69.90% to 97.21%)" in told
    assert "light" in told and str(tmp_path / "tones-2-tones") in told


def test_confusion_matrix_is_a_picture(models, tones, tmp_path):
    run(models, tones, tmp_path)
    with Image.open(tmp_path / "tones-2-tones" / "confusion.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 200


def test_version_directory_is_scored_itself(models):
    assert evaluate.newest_version(models / "tones" / "1") == models / "tones" / "1"
    assert evaluate.newest_version(models / "tones") == models / "tones" / "2"


def doubler(path):
    module = tf.Module()
    module.f = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    tf.saved_model.save(module, path, signatures=module.f)
    return path


def test_path_without_a_model_is_a_sentence_and_exit_status_2(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        evaluate.main([str(tmp_path)])
    assert stopped.value.code == 2
    assert "is no SavedModel" in capsys.readouterr().err


def test_model_that_is_no_classifier_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        evaluate.main([str(doubler(tmp_path / "1"))])
    assert "no signature serving_default from images to probabilities" in capsys.readouterr().err


def test_images_of_another_shape_are_refused(models, tmp_path, write_idx, capsys):
    with pytest.raises(SystemExit):
        evaluate.main([str(models / "tones"), "--data_dir", str(write_idx(tmp_path))])
    assert "takes images (16, 16, 1), and those of fashion_mnist are (28, 28, 1)" in capsys.readouterr().err


def test_dataset_with_other_classes_is_refused(models, tmp_path, write_picture, capsys):
    for name in "abc":
        for number in range(2):
            write_picture(tmp_path / "three" / name / f"{number}.png", 9, size=(16, 16))
    with pytest.raises(SystemExit):
        run(models, tmp_path / "three", tmp_path)
    assert "The model has 2 classes and three has 3." in capsys.readouterr().err
