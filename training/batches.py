"""Training batches whose order and augmentation depend on (seed, epoch, step) alone.

So a training that stopped after any step goes on with the very batches it would have had.
"""

import tensorflow as tf

from training.errors import InputError

LOW_RESOLUTION = 0.75  # of height and width


class Batches:
    """Augmented batches of `split`, one shuffled pass an epoch; each a pure function of (seed, epoch, step).

    Batches are full; the few images that fill none sit out the epoch, and others do the next time.

    Raises:
        InputError: the images are too small for the recipe's shift or cutout.
    """

    def __init__(self, split, num_classes, recipe, seed):
        side = min(split.images.shape[1:3])
        if recipe.shift >= side or recipe.cutout > side:
            raise InputError(
                f"shift must be below and cutout at most {side}, a side of the images; "
                f"got {recipe.shift} and {recipe.cutout}."
            )
        self.count = len(split.images)
        self.batch_size = min(recipe.batch_size, self.count)
        self.steps = self.count // self.batch_size
        self.num_classes = num_classes
        self.recipe = recipe
        self.seed = tf.constant(seed, "int64")
        with tf.device("CPU"):  # a GPU gets batches, not the dataset
            self.images = tf.constant(split.images)
            self.labels = tf.constant(split.labels)
            if recipe.cutout:
                self.mean = tf.constant(split.images.mean(axis=(0, 1, 2)).round(), "uint8")
            self.flipped_first = tf.random.stateless_uniform((self.count,), (seed, -1)) < 0.5  # no step is -1

    def phases(self, epochs):
        """[(epochs that are over at its end, height and width of its images, None for their own)] of a training."""
        low_epochs = round(self.recipe.low_resolution_share * epochs)
        low = tuple(max(1, round(LOW_RESOLUTION * side)) for side in self.images.shape[1:3])
        return [(low_epochs, low), (epochs, None)]

    def after(self, step, epochs, size=None):
        """tf.data.Dataset of every batch from `step` to the end of `epochs`, epoch upon epoch.

        Images uint8 [B, H, W, C], made `size` high and wide where it is given; one-hot labels float32 [B, K].
        """

        def batch(indices, seed):
            images, labels = self.batch(indices, seed)
            return resized(images, size) if size else images, labels

        keys = tf.data.Dataset.range(step // self.steps, epochs).flat_map(self.keys).skip(step % self.steps)
        return keys.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)

    def keys(self, epoch):
        """(indices of the batch's images int64 [B], seed of its augmentation int64 [2]) for each step of the epoch."""
        order = tf.random.experimental.stateless_shuffle(tf.range(self.count, dtype="int64"), (self.seed, epoch))
        order = tf.reshape(order[: self.steps * self.batch_size], (self.steps, self.batch_size))
        steps = epoch * self.steps + tf.range(self.steps, dtype="int64")
        return tf.data.Dataset.from_tensor_slices((order, tf.stack([tf.fill([self.steps], self.seed), steps], axis=1)))

    def batch(self, indices, seed):
        images = tf.gather(self.images, indices)
        if self.recipe.flips != "none" or self.recipe.shift:
            shift_seed = tf.random.experimental.stateless_fold_in(seed, 2)
            images = moved(images, self.is_flipped(indices, seed), self.recipe.shift, shift_seed)
        if self.recipe.cutout:
            images = cutout(images, self.recipe.cutout, self.mean, tf.random.experimental.stateless_fold_in(seed, 3))
        return images, tf.one_hot(tf.gather(self.labels, indices), self.num_classes)

    def is_flipped(self, indices, seed):
        """Whether each image is mirrored at the step of `seed`, bool [B]."""
        if self.recipe.flips == "none":
            return tf.zeros_like(indices, "bool")
        if self.recipe.flips == "alternating":
            is_odd_epoch = seed[1] // self.steps % 2 == 1
            return tf.gather(self.flipped_first, indices) != is_odd_epoch
        return tf.random.stateless_uniform(tf.shape(indices), tf.random.experimental.stateless_fold_in(seed, 1)) < 0.5


def resized(images, size):
    """Images uint8 [B, H, W, C] with height and width `size`, each pixel the mean of those it covers."""
    return tf.cast(tf.round(tf.image.resize(images, size, "area")), "uint8")


def moved(images, is_flipped, pixels, seed):
    """Each image mirrored where `is_flipped`, bool [B], then moved by -pixels..pixels down and right, its mirrored edge
    let in.

    Both are one choice of rows and one of columns: a seventh of the time of tf.reverse, tf.where and tf.pad.
    """
    count, height, width, _ = tf.unstack(tf.shape(images))
    offsets = tf.random.stateless_uniform((2, count, 1), seed, -pixels, pixels + 1, tf.int32)
    rows = reflected(offsets[0] + tf.range(height), height)
    columns = reflected(offsets[1] + tf.range(width), width)
    columns = tf.where(is_flipped[:, None], width - 1 - columns, columns)
    return tf.gather(tf.gather(images, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def reflected(places, length):
    """`places` with those outside of 0..`length` - 1 mirrored at its ends."""
    return length - 1 - tf.abs(length - 1 - tf.abs(places))


def cutout(images, size, color, seed):
    """Each image with a square of `size` pixels somewhere in it, never cut off, hidden by `color` [C].

    Source: https://arxiv.org/abs/1708.04552; whole squares as in https://arxiv.org/abs/2404.00498.
    """
    count, height, width, _ = tf.unstack(tf.shape(images))

    def side(length, seed):
        first = tf.random.stateless_uniform((count, 1), seed, 0, length - size + 1, tf.int32)
        return (tf.range(length) >= first) & (tf.range(length) < first + size)

    rows = side(height, seed)
    columns = side(width, tf.random.experimental.stateless_fold_in(seed, 1))
    return tf.where(rows[:, :, None, None] & columns[:, None, :, None], color, images)
