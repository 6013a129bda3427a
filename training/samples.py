"""What a generative network makes, after each epoch: grids in the run's folder and TensorBoard, and their distance."""

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from training.frechet import frechet_distance

SIDE = 8  # images to a row and rows to a grid
GAP = 2  # pixels between them
MOST_IMAGES = 10_000  # of either set in a distance


def grid(images):
    """Images uint8 [N, H, W, C] in rows of SIDE as one image, [h, w, C], white between them."""
    count, height, width, channels = images.shape
    rows = -(-count // SIDE)
    sheet = np.full((rows * (height + GAP) - GAP, SIDE * (width + GAP) - GAP, channels), 255, np.uint8)
    for at, image in enumerate(images):
        top, left = at // SIDE * (height + GAP), at % SIDE * (width + GAP)
        sheet[top : top + height, left : left + width] = image
    return sheet


def draw(trainer, count, seed):
    """Latents [count, D] for the network of `trainer`, the same ones for the same seed."""
    return np.random.default_rng(seed).normal(size=(count, trainer.latents)).astype("float32")


class Distance:
    """The Fréchet distance from `images` to others, as `features`, images to [N, D], sees them."""

    def __init__(self, features, images):
        self.features = features
        self.count = min(len(images), MOST_IMAGES)
        self.given = features(images[: self.count])

    def to(self, images):
        return frechet_distance(self.features(images[: self.count]), self.given)

    def to_made(self, trainer, seed):
        """To as many images that the network of `trainer` makes."""
        latents = draw(trainer, self.count, seed)
        return self.to(np.concatenate([trainer.generate(latents[at : at + 500]) for at in range(0, self.count, 500)]))


class Samples(keras.callbacks.Callback):
    """Saves `samples-<epoch>.png`, always of the same latents, and reconstructions of `images` where there are any.

    With a `distance` it adds that to the images made to the epoch's logs.
    """

    def __init__(self, folder, images, seed, distance=None):
        super().__init__()
        self.folder = folder
        self.images = images[: SIDE**2 // 2]
        self.noise_seed = seed
        self.distance = distance
        self.writer = tf.summary.create_file_writer(str(folder / "samples"))

    def on_epoch_end(self, epoch, logs=None):
        self.save("samples", epoch, self.model.generate(draw(self.model, SIDE**2, self.noise_seed)))
        if hasattr(self.model, "reconstruct"):
            self.save("reconstructions", epoch, interleaved(self.images, self.model.reconstruct(self.images)))
        if self.distance:
            logs["frechet_distance"] = self.distance.to_made(self.model, self.noise_seed)
            print(f"Fréchet distance to {self.distance.count:,} images made: {logs['frechet_distance']:.4g}")

    def save(self, kind, epoch, images):
        sheet = grid(images)
        path = self.folder / f"{kind}-{epoch + 1:03}.png"
        Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet).save(path)
        with self.writer.as_default():
            tf.summary.image(kind, sheet[np.newaxis], step=epoch)
        self.writer.flush()


def interleaved(images, others):
    """A row of `images`, the row of `others` that belongs to it, and so on, for `grid`."""
    starts = range(0, len(images), SIDE)
    return np.concatenate([part[at : at + SIDE] for at in starts for part in (images, others)])
