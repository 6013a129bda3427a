import numpy as np
from PIL import Image

from training import mistakes


def test_surest_mistakes_come_first_and_right_answers_never():
    probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.2, 0.8], [0.95, 0.05]])
    assert mistakes.worst_mistakes(probabilities, np.array([1, 0, 1, 1])) == [3, 1, 0]


def test_there_are_twenty_at_most():
    wrong = np.tile([0.7, 0.3], (30, 1))
    assert len(mistakes.worst_mistakes(wrong, np.ones(30, int))) == 20


def test_sheet_is_a_picture_of_all_rows(tmp_path):
    heights = []
    for count, shape in (20, (8, 8, 3)), (3, (8, 8, 1)):
        images = np.zeros((count, *shape), np.uint8)
        mistakes.save_images(tmp_path / "sheet.png", images, ["a $ b\nis_c"] * count)
        with Image.open(tmp_path / "sheet.png") as sheet:
            heights.append(sheet.height)
    assert heights[0] == 4 * heights[1]
