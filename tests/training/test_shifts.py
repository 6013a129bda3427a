import numpy as np
import pytest

from training.shifts import ShiftScore, shift_scores, shifted

IMAGE = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1)


@pytest.mark.parametrize(
    "down, right, rows",
    [
        (0, 0, [[0, 1, 2], [3, 4, 5], [6, 7, 8]]),
        (1, 0, [[0, 1, 2], [0, 1, 2], [3, 4, 5]]),
        (-1, 0, [[3, 4, 5], [6, 7, 8], [6, 7, 8]]),
        (0, 1, [[0, 0, 1], [3, 3, 4], [6, 6, 7]]),
        (0, -2, [[2, 2, 2], [5, 5, 5], [8, 8, 8]]),
    ],
)
def test_image_moves_and_its_edge_fills_the_gap(down, right, rows):
    assert shifted(IMAGE, down, right)[0, :, :, 0].tolist() == rows


def test_scores_are_means_over_four_directions():
    def predict(images):  # the class is 1 where the middle pixel is lit
        return (images[:, 2, 2, 0] > 0).astype(int)

    images = np.zeros((2, 5, 5, 1), np.uint8)
    images[0, 2, 2] = images[1, 2, 1] = 1  # lit in the middle; lit one pixel to its left
    # 1 pixel: the first image is always taken for 0; the second for 1 when moved right, else for 0 as before
    # 2 pixels: neither ever reaches the middle
    assert shift_scores(predict, images, np.array([1, 0]), most_pixels=2) == [
        ShiftScore(0, 1.0, 1.0),
        ShiftScore(1, 3 / 8, 3 / 8),
        ShiftScore(2, 0.5, 0.5),
    ]
