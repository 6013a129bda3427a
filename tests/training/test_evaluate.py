import json
import re

import keras
import numpy as np
import pytest
from PIL import Image

from training import evaluate
from training.export import export

CLASS_NAMES = ("light", "dark")  # not the order of the pictures' folders


def brightness_model(shape):
    """Takes an image for light where the mean of its pixels is above half of 255."""
    images = keras.Input(shape, dtype="uint8")
    mean = keras.layers.GlobalAveragePooling2D(name="mean")(keras.layers.Rescaling(1 / 255)(images))
    scores = keras.layers.Dense(2)
    model = keras.Model(images, keras.layers.Softmax()(scores(mean)))
    scores.set_weights([np.full((shape[-1], 2), [4.0, -4.0]), np.array([-2.0, 2.0])])
    return model, keras.Model(images, mean)


@pytest.fixture(scope="module")
def models_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    model, features = brightness_model((8, 8, 1))
    for _ in range(2):
        export(model, root, "brightness", features=features, class_names=CLASS_NAMES, card={})
    return root


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Test pictures: three light ones, of which one is as dark as the four dark ones."""
    root = tmp_path_factory.mktemp("data") / "shades"
    for part, shades in (
        ("train", {"light": [250], "dark": [10]}),
        (
            "test",
            {"light": [250, 240, 30], "dark": [0, 10, 20, 30]},
        ),
    ):
        for name, values in shades.items():
            (root / part / name).mkdir(parents=True)
            for at, value in enumerate(values):
                Image.new("L", (8, 8), value).save(root / part / name / f"{at}.png")
    return root


@pytest.fixture(scope="module")
def measured(models_root, pictures, tmp_path_factory):
    """The folder of results on the newest version."""
    root = tmp_path_factory.mktemp("results")
    return evaluate.measure(
        evaluate.EvaluateConfig(models_root / "brightness", dataset=str(pictures), results_root=root)
    )


def test_results_are_named_for_model_version_and_dataset(measured):
    assert measured.name == "brightness-2-shades"
    with Image.open(measured / "confusion.png") as picture:
        assert picture.format == "PNG"


def test_results_are_those_of_the_pictures_with_classes_matched_by_name(measured):
    got = json.loads((measured / "evaluation.json").read_text("utf-8"))
    assert got["accuracy"]["correct"] == 6 and got["accuracy"]["total"] == 7
    light, dark = got["classes"]
    assert dark["recall"]["share"] == 1 and dark["precision"] == 4 / 5 and dark["mistaken_for"] is None
    assert light["recall"]["share"] == 2 / 3 and light["precision"] == 1
    assert light["mistaken_for"] == {"name": "dark", "share": 1 / 3}
    assert got["confusion"] == [[2, 1], [0, 4]]
    assert 0 < got["calibration_error"] < 1
    assert [score["pixels"] for score in got["shifts"]] == [0, 1, 2, 3, 4]
    assert all(score["same"] == 1 and score["accuracy"] == pytest.approx(6 / 7) for score in got["shifts"])


def test_printed_table_is_at_most_80_columns_wide(models_root, pictures, tmp_path, capsys):
    evaluate.main(
        [str(models_root / "brightness" / "1"), "--dataset", str(pictures), "--results_root", str(tmp_path / "r")]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Right on the test images: 85.71% of 7 (95% interval 48.69% to 97.43%)."
    assert "light                   3   66.7%  20.8% to 93.9%    100.0%  dark 33.3%" in lines
    assert "1 pixel          85.71%           100.00%" in lines
    assert max(map(len, lines[:-1])) <= 80  # the last names two files


def test_class_without_images_or_mistakes_leaves_its_cells_empty():
    score = evaluate.metrics.ClassScore(None, None, None)
    assert re.sub(" +", " ", evaluate.class_line("a" * 40, score, ())) == f"{'a' * 16}… 0"


def folder_of(root, names, size=8, mode="L"):
    for name in names:
        (root / name).mkdir(parents=True)
        for at in range(5):
            Image.new(mode, (size, size)).save(root / name / f"{at}.png")
    return root


@pytest.mark.parametrize(
    "path, names, mode, sentence",
    [
        ("brightness", ["dark", "grey"], "L", "knows no class 'grey' of pictures; its classes: light, dark"),
        ("brightness", ["dark", "light"], "RGB", r"takes images of shape \(8, 8, 1\) and pictures has \(8, 8, 3\)"),
        ("nothing", ["dark"], "L", "nothing holds no SavedModel: expected a version directory"),
    ],
)
def test_what_does_not_fit_is_a_sentence(models_root, tmp_path, capsys, path, names, mode, sentence):
    data = folder_of(tmp_path / "pictures", names, mode=mode)
    with pytest.raises(SystemExit) as stopped:
        evaluate.main([str(models_root / path), "--dataset", str(data), "--results_root", str(tmp_path)])
    assert stopped.value.code == 2
    assert re.search(sentence, capsys.readouterr().err)
