import numpy as np

from training.samples import Distance, draw, grid, interleaved


def test_grid_has_rows_of_eight_with_white_between():
    sheet = grid(np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1).repeat(3, axis=1))
    assert sheet.shape == (3 + 2 + 3, 8 + 7 * 2, 1)
    assert sheet[0, ::3, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert sheet[5, ::3, 0].tolist() == [8, 9] + [255] * 6
    assert (sheet[3:5] == 255).all() and (sheet[:, 1:3] == 255).all()


def test_images_and_their_reconstructions_take_turns_by_row():
    images = np.arange(10).reshape(10, 1, 1, 1)
    assert interleaved(images, images + 100).ravel().tolist() == [*range(8), *range(100, 108), 8, 9, 108, 109]


class Constant:
    """Makes images of one grey."""

    latents = 3

    def generate(self, latents):
        return np.full((len(latents), 2, 2, 1), 7, np.uint8)


def test_latents_are_the_same_for_the_same_seed():
    assert draw(Constant(), 5, seed=1).shape == (5, 3)
    np.testing.assert_array_equal(draw(Constant(), 5, seed=1), draw(Constant(), 5, seed=1))
    assert (draw(Constant(), 5, seed=1) != draw(Constant(), 5, seed=2)).any()


def test_distance_is_between_the_features_of_images_and_of_those_made():
    def features(images):
        return images.reshape(len(images), -1)[:, :1].astype("float32")

    images = np.array([3, 5, 3, 5], np.uint8).reshape(4, 1, 1, 1).repeat(2, axis=1).repeat(2, axis=2)
    distance = Distance(features, images)
    assert distance.count == 4
    assert np.isclose(distance.to_made(Constant(), seed=0), (7 - 4) ** 2 + 4 / 3)  # deviations 0 and (4/3)^(1/2)
    assert np.isclose(distance.to(images), 0)
