import numpy as np
import tensorflow as tf

from training import photo_augmentation


def augmented(images, seed):
    return photo_augmentation.augment(tf.constant(images), tf.constant([0, seed], tf.int64)).numpy()


def noise(count=6, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, 24, 32, channels), np.uint8)


def test_seed_decides_everything():
    images = noise()
    np.testing.assert_array_equal(augmented(images, 1), augmented(images, 1))
    assert (augmented(images, 1) != augmented(images, 2)).any(axis=(1, 2, 3)).all()


def test_every_image_is_changed_in_its_own_way():
    images = np.repeat(noise(1), 6, axis=0)
    assert len({image.tobytes() for image in augmented(images, 1)}) == 6


def test_crop_shows_only_what_is_in_the_image():
    plain = np.full((64, 24, 32, 3), 200, np.uint8)  # a border let in from outside would be dark
    np.testing.assert_allclose(photo_augmentation.crop(plain, tf.constant([0, 1], tf.int64)), 200, rtol=1e-5)


def test_crop_keeps_at_least_half_of_the_image_and_mirrors_about_half():
    across = np.broadcast_to(np.arange(32, dtype=np.uint8)[:, None], (400, 24, 32, 1))
    down = np.broadcast_to(np.arange(24, dtype=np.uint8)[:, None, None], (400, 24, 32, 1))
    seed = tf.constant([0, 1], tf.int64)
    columns, rows = (photo_augmentation.crop(images, seed).numpy()[..., 0] for images in (across, down))
    wide, high = (columns[:, 0, -1] - columns[:, 0, 0]) / 31, (rows[:, -1, 0] - rows[:, 0, 0]) / 23
    assert 0.4 < (wide < 0).mean() < 0.6 and (high > 0).all()
    area = np.abs(wide) * high
    assert area.min() > 0.49 and area.max() < 1.001 and np.ptp(area) > 0.3


def test_colour_changes_brightness_contrast_and_saturation_within_bounds():
    grey = np.full((200, 4, 4, 3), 100, np.float32)
    changed = photo_augmentation.colour(grey, tf.constant([0, 1], tf.int64)).numpy()
    assert 70 - 1e-3 <= changed.min() < 75 and 125 < changed.max() <= 130 + 1e-3
    np.testing.assert_allclose(changed, changed[:, :1, :1, :1].repeat(4, 1).repeat(4, 2).repeat(3, 3), rtol=1e-5)


def test_one_channel_stays_one():
    assert augmented(noise(channels=1), 1).shape == (6, 24, 32, 1)
