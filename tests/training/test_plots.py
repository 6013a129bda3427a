import numpy as np
import pytest
from PIL import Image

from training import plots
from training.mistakes import save_images


@pytest.mark.parametrize("count, pixels", [(2, 500), (10, 900), (100, 1700)])
def test_confusion_matrix_is_a_png_that_grows_with_the_classes(tmp_path, count, pixels):
    names = [f"class {at}" for at in range(count)]
    plots.save_confusion(tmp_path / "confusion.png", np.eye(count, dtype=int), names, "a model")
    with Image.open(tmp_path / "confusion.png") as picture:
        assert picture.format == "PNG" and pixels * 0.8 < picture.size[0] < pixels * 1.4


@pytest.mark.parametrize("share, told", [(1, "100"), (0.934, "93"), (0.0996, "10"), (0.042, "4.2"), (0.001, "0.1")])
def test_cells_are_whole_percents_and_one_decimal_below_ten(share, told):
    assert plots.percent(share) == told


@pytest.mark.parametrize("name", ["a$b^$c", r"$\no$", "猫", "_"])
def test_names_are_drawn_as_they_are_and_without_a_warning(tmp_path, name):
    plots.save_confusion(tmp_path / "confusion.png", np.eye(2, dtype=int), [name, "dog"], name)
    plots.save_intervals(tmp_path / "intervals.png", {name: {name: [0.5, 0.6]}}, name)
    save_images(tmp_path / "images.png", np.zeros((1, 4, 4, 1), np.uint8), [name])
    assert {path.name for path in tmp_path.iterdir()} == {"confusion.png", "intervals.png", "images.png"}
