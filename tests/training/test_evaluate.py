import json
import re

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from training import evaluate, image_folder
from training.export import export, export_signatures
from training.generative_signatures import vae_signatures

CLASS_NAMES = ("light", "dark")  # not the order of the pictures' folders


def brightness_model(shape):
    """Takes an image for light where the mean of its pixels is above half of 255."""
    images = keras.Input(shape, dtype="uint8")
    mean = keras.layers.GlobalAveragePooling2D(name="mean")(keras.layers.Rescaling(1 / 255)(images))
    scores = keras.layers.Dense(2, name="logits")
    model = keras.Model(images, keras.layers.Softmax()(scores(mean)))
    scores.set_weights([np.full((shape[-1], 2), [4.0, -4.0]), np.array([-2.0, 2.0])])
    return model


@pytest.fixture(scope="module")
def models_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    model = brightness_model((8, 8, 1))
    for _ in range(2):
        export(model, root, "brightness", class_names=CLASS_NAMES, card={})
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
        ("nothing", ["dark"], "L", "nothing holds no SavedModel: expected a version directory"),
    ],
)
def test_what_does_not_fit_is_a_sentence(models_root, tmp_path, capsys, path, names, mode, sentence):
    data = folder_of(tmp_path / "pictures", names, mode=mode)
    with pytest.raises(SystemExit) as stopped:
        evaluate.main([str(models_root / path), "--dataset", str(data), "--results_root", str(tmp_path)])
    assert stopped.value.code == 2
    assert re.search(sentence, capsys.readouterr().err)


def exported(root, name, shape=(8, 8, 1), card=None):
    model = brightness_model(shape)
    return export(model, root, name, class_names=CLASS_NAMES, card=card or {})


@pytest.fixture(scope="module")
def misled(tmp_path_factory):
    """(a version trained with seed 3, a folder without a test part whose test pictures of seed 3 are all mistaken)."""
    folder = tmp_path_factory.mktemp("misled")
    for label, (name, shade) in enumerate((("dark", 0), ("light", 250))):
        for at, is_test in enumerate(image_folder.split(5, [3, label])):
            (folder / "shades" / name).mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 250 - shade if is_test else shade).save(folder / "shades" / name / f"{at}.png")
    return exported(folder / "models", "misled", card={"seed": 3}), folder / "shades"


@pytest.mark.parametrize("given, correct, is_told", [([], 0, False), (["--seed=3"], 0, False), (["--seed=0"], 2, True)])
def test_split_is_the_one_it_was_trained_with_unless_told_otherwise(misled, tmp_path, capsys, given, correct, is_told):
    version, folder = misled
    evaluate.main([str(version), f"--dataset={folder}", f"--results_root={tmp_path}", *given])
    [path] = tmp_path.glob("*/evaluation.json")
    assert json.loads(path.read_text("utf-8"))["accuracy"]["correct"] == correct
    assert ("was trained with seed 3" in capsys.readouterr().err) == is_told


@pytest.mark.parametrize("source", ["{pictures}", "keras.datasets.shades"])
def test_dataset_is_by_default_what_the_model_was_trained_on(tmp_path, pictures, capsys, source):
    source = source.format(pictures=pictures)
    version = exported(tmp_path, "brightness", card={"dataset": {"name": "shades", "source": source}})
    if source == str(pictures):
        evaluate.main([str(version), f"--results_root={tmp_path / 'results'}"])
        assert (tmp_path / "results" / "brightness-1-shades" / "evaluation.json").exists()
    else:
        assert f"Unknown dataset {source!r}" in refusal(capsys, version)


def test_pictures_have_the_channels_of_the_model_as_they_have_when_served(models_root, tmp_path):
    folder = folder_of(tmp_path / "pictures", ["dark", "light"], mode="RGB")
    evaluate.main([str(models_root / "brightness"), f"--dataset={folder}", f"--results_root={tmp_path}"])
    [path] = tmp_path.glob("*/evaluation.json")
    assert json.loads(path.read_text("utf-8"))["accuracy"]["correct"] == 1


def test_split_is_the_datas_whatever_the_trainings_seed(misled, tmp_path, capsys):
    _, folder = misled
    version = exported(tmp_path, "compared", card={"seed": 0, "dataset": {"split_seed": 3}})
    evaluate.main([str(version), f"--dataset={folder}", f"--results_root={tmp_path}"])
    [path] = tmp_path.glob("*/evaluation.json")
    assert json.loads(path.read_text("utf-8"))["accuracy"]["correct"] == 0
    assert "was trained with seed" not in capsys.readouterr().err


def test_model_that_does_not_say_its_dataset_needs_it_given(models_root, capsys):
    assert "give --dataset" in refusal(capsys, models_root / "brightness")


def refusal(capsys, *given):
    with pytest.raises(SystemExit) as stopped:
        evaluate.main([*map(str, given)])
    assert stopped.value.code == 2
    return re.sub(r"[\s│]+", " ", capsys.readouterr().err)


def test_seed_that_no_split_has_is_refused(models_root, capsys):
    assert "seed must be at least 0" in refusal(capsys, models_root / "brightness", "--seed=-1")


@pytest.mark.parametrize(
    "damage",
    [
        lambda version: (version / "saved_model.pb").write_bytes(b"\xff no protobuf"),
        lambda version: (version / "saved_model.pb").write_bytes(b""),
        lambda version: (version / "saved_model.pb").write_bytes((version / "saved_model.pb").read_bytes()[:5000]),
        lambda version: [path.unlink() for path in (version / "variables").iterdir()],
        lambda version: next((version / "variables").glob("*.data*")).write_bytes(b""),
        lambda version: next((version / "variables").glob("*.index")).write_bytes(b"no table"),
    ],
)
def test_damaged_model_is_a_sentence(tmp_path, pictures, capsys, damage):
    damage(exported(tmp_path, "damaged"))
    assert "damaged/1 cannot be loaded (" in refusal(capsys, tmp_path / "damaged", f"--dataset={pictures}")


def test_generative_model_is_told_to_be_no_classifier(tmp_path, capsys):
    vae = zoo.build("conv_vae", input_shape=(16, 16, 1), width=0.05)
    export_signatures(vae_signatures(vae), tmp_path, "vae", (), {})
    assert "vae/1 is no classifier: its 'serving_default' gives reconstructions" in refusal(capsys, tmp_path / "vae")
