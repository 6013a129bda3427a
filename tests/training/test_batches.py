import numpy as np
import pytest
import tensorflow as tf

from training import batches
from training.datasets import Split
from training.errors import InputError
from training.recipes import recipe

PLAIN = recipe("fast", batch_size=4, flips="none")
AUGMENTED = recipe("fast", batch_size=4, flips="random", shift=2, cutout=2)


def numbered(count=10):
    """Images that show their number at every pixel, each a class of its own."""
    numbers = np.arange(count)
    return Split(np.full((count, 6, 6, 1), numbers.reshape(-1, 1, 1, 1), np.uint8), numbers.astype(np.int32))


def drawn(recipe, seed=0, step=0, epochs=2, split=None):
    source = batches.Batches(split or numbered(), 10, recipe, seed)
    return [(images.numpy(), labels.numpy().argmax(axis=1)) for images, labels in source.after(step, epochs)]


def test_each_epoch_is_a_shuffled_pass_of_full_batches():
    labels = [labels for _, labels in drawn(PLAIN)]
    assert [len(batch) for batch in labels] == [4, 4, 4, 4]
    first, second = np.concatenate(labels[:2]), np.concatenate(labels[2:])
    assert len(set(first)) == len(set(second)) == 8
    assert first.tolist() != second.tolist()


def test_images_keep_their_labels():
    for images, labels in drawn(PLAIN):
        assert images[:, 0, 0, 0].tolist() == labels.tolist()


def test_dataset_smaller_than_a_batch_is_one_batch():
    assert [len(labels) for _, labels in drawn(PLAIN, split=numbered(3), epochs=1)] == [3]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_batches_after_a_step_are_those_a_whole_run_has_there(step):
    random = Split(np.random.default_rng(0).integers(0, 256, (10, 6, 6, 1), np.uint8), np.arange(10, dtype=np.int32))
    whole, rest = drawn(AUGMENTED, split=random), drawn(AUGMENTED, split=random, step=step)
    assert len(rest) == len(whole) - step
    for (images, labels), (want_images, want_labels) in zip(rest, whole[step:], strict=True):
        np.testing.assert_array_equal(images, want_images)
        np.testing.assert_array_equal(labels, want_labels)


def test_first_share_of_the_epochs_is_of_three_quarters_of_the_size():
    source = batches.Batches(numbered(), 10, recipe("fast", low_resolution_share=0.5), seed=0)
    assert source.phases(8) == [(4, (4, 4)), (8, None)]  # round(4.5) is 4
    assert batches.Batches(numbered(), 10, PLAIN, seed=0).phases(8)[0][0] == 0


def test_smaller_images_are_the_same_ones_with_each_pixel_the_mean_of_what_it_covers():
    random = Split(np.random.default_rng(0).integers(0, 256, (8, 6, 6, 3), np.uint8), np.arange(8, dtype=np.int32))
    source = batches.Batches(random, 10, AUGMENTED, seed=0)
    for (small, labels), (images, want_labels) in zip(source.after(1, 2, size=(3, 3)), source.after(1, 2), strict=True):
        assert small.dtype == "uint8" and small.shape == (4, 3, 3, 3)
        means = images.numpy().reshape(4, 3, 2, 3, 2, 3).mean(axis=(2, 4))
        np.testing.assert_allclose(small, means, atol=0.5)
        np.testing.assert_array_equal(labels, want_labels)


def test_seed_changes_the_order():
    assert drawn(PLAIN, seed=1)[0][1].tolist() != drawn(PLAIN, seed=2)[0][1].tolist()


def gradient(count=400):
    return tf.constant(np.tile(np.arange(0, 60, 10, np.uint8).reshape(1, 1, 6, 1), (count, 6, 1, 1)))


def flipped(flips, epochs, count=400):
    """Whether each image, in its own order, was mirrored in each epoch: bool [epochs, count]."""
    split = Split(gradient(count).numpy(), np.arange(count, dtype=np.int32))
    mirrored = np.zeros((epochs, count), bool)
    how = recipe("fast", batch_size=count // 2, flips=flips)
    for number, (images, labels) in enumerate(batches.Batches(split, count, how, seed=1).after(0, epochs)):
        row = images.numpy()[:, 0, :, 0].astype(int)
        assert ((row == range(0, 60, 10)) | (row == range(50, -10, -10))).all(axis=1).all()
        mirrored[number // 2, labels.numpy().argmax(axis=1)] = row[:, 0] == 50
    return mirrored


def test_random_flips_mirror_about_half_of_the_images_anew_in_each_epoch():
    first, second = flipped("random", 2)
    assert 150 < first.sum() < 250 and 150 < (first != second).sum() < 250


def test_alternating_flips_mirror_each_image_in_every_other_epoch():
    first, second, third = flipped("alternating", 3)
    assert 150 < first.sum() < 250
    assert (second == ~first).all() and (third == first).all()


def test_no_flips_leave_every_image_as_it_is():
    assert not flipped("none", 2).any()


def test_shift_moves_each_image_by_every_distance_up_to_the_limit():
    never = np.zeros(400, bool)
    got = batches.moved(gradient(), never, 2, (0, 1)).numpy()
    assert set(got[:, 0, 2, 0]) == {0, 10, 20, 30, 40}


def test_shifted_images_are_windows_of_the_flipped_images_with_their_mirrored_edge():
    random = np.random.default_rng(0)
    images, is_flipped = random.integers(0, 256, (64, 5, 7, 3), np.uint8), random.random(64) < 0.5
    got = batches.moved(images, is_flipped, 3, (0, 1)).numpy()
    seen = set()
    for image, mirrored, moved in zip(images, is_flipped, got, strict=True):
        padded = np.pad(image[:, ::-1] if mirrored else image, ((3, 3), (3, 3), (0, 0)), "reflect")
        places = [(y, x) for y in range(7) for x in range(7) if (padded[y : y + 5, x : x + 7] == moved).all()]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) > 20  # of 49


def test_cutout_hides_one_whole_square_of_each_image_wherever_one_fits():
    images = batches.cutout(tf.zeros((2000, 6, 5, 1), "uint8"), 3, tf.constant([9], "uint8"), (0, 1))
    hidden = images.numpy()[..., 0] == 9
    corners = [(row, column) for row in range(4) for column in range(3)]
    squares = np.zeros((len(corners), 6, 5), bool)
    for square, (row, column) in zip(squares, corners, strict=True):
        square[row : row + 3, column : column + 3] = True
    counts = [(hidden == square).all(axis=(1, 2)).sum() for square in squares]
    assert sum(counts) == 2000
    assert min(counts) > 100  # of 167 expected


def test_cutout_is_of_the_training_images_mean_color():
    split = Split(np.tile(np.array([10, 20, 33], np.uint8), (4, 6, 6, 1)), np.arange(4, dtype=np.int32))
    split.images[0] = 0
    hidden, _ = drawn(recipe("fast", batch_size=4, flips="none", cutout=6), split=split, epochs=1)[0]
    assert (hidden == [8, 15, 25]).all()


@pytest.mark.parametrize("changes", [{"shift": 6}, {"cutout": 7}])
def test_augmentation_that_no_image_has_room_for_is_refused(changes):
    with pytest.raises(InputError, match=r"at most 6, a side of the images"):
        batches.Batches(numbered(), 10, recipe("fast", batch_size=4, **changes), seed=0)
