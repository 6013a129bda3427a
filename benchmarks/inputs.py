"""The input of a training alone, and what it costs the training: images a second on synthetic images.

    python -m benchmarks.inputs            # about a minute on an otherwise idle machine

`training.batches` gathers and augments batches of 128 while the network trains. Each row has its images a second with
no network behind it, and those of a training of All-CNN-C at width 1/3, the fastest that `make train` has, fed by it.
The figure is the second by the speed of the same training fed one batch over and over: what it lacks to 1 the input
takes. The median of the rounds counts.
"""

import dataclasses
import itertools
import time

import numpy as np
import tyro

from benchmarks.steps import BATCH_SIZE, NUM_CLASSES, compiled
from benchmarks.table import HEADER, Row
from training.quiet import import_tensorflow

SHAPES = ((28, 28, 1), (32, 32, 3))
AUGMENTATIONS = {"flips": {"shift": 0}, "flips and shifts": {"shift": 4}}  # fields of a Recipe
IMAGES = 12_800
STEPS = {"alone": 200, "training": 12}
WIDTH = 1 / 3
BAR = 0.95


@dataclasses.dataclass(frozen=True)
class InputsConfig:
    """Measure the input of a training."""

    rounds: int = 3
    """of each row"""


def main(argv=None):
    config = tyro.cli(InputsConfig, args=argv, use_underscores=True)
    import_tensorflow()
    print(HEADER)
    for shape in SHAPES:
        for name, fields in AUGMENTATIONS.items():
            print(row(shape, name, fields, config.rounds), flush=True)


def row(shape, name, fields, rounds):
    import tensorflow as tf

    from training import recipes
    from training.batches import Batches
    from training.datasets import Split
    from training.precision import choose_policy

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, *shape), np.uint8)
    labels = random.integers(0, NUM_CLASSES, IMAGES).astype("int32")
    recipe = dataclasses.replace(recipes.recipe("fast"), batch_size=BATCH_SIZE, **fields)
    batches = Batches(Split(images, labels), NUM_CLASSES, recipe, seed=0).after(0, epochs=1_000)
    model = compiled(WIDTH, choose_policy(), recipe, images)
    repeated = tf.data.Dataset.from_tensors(next(iter(batches))).repeat()
    speeds = [(alone(batches), training(model, batches), training(model, repeated)) for _ in range(1 + rounds)][
        1:
    ]  # the first one traces
    input_alone, fed, _ = np.median(speeds, axis=0)
    ratio = np.median([fed / free for _, fed, free in speeds])
    sizes = "x".join(map(str, shape))
    measured = f"{input_alone:,.0f} images/s alone; {fed:,.0f} training"
    return Row(f"input, {sizes}, {name}, by a training without it", measured, ratio, BAR)


def alone(batches):
    """Images a second of the batches when nothing is done with them."""
    steps = STEPS["alone"]
    rest = iter(batches)
    next(rest)
    started_s = time.perf_counter()
    for _ in itertools.islice(rest, steps):
        pass
    return BATCH_SIZE * steps / (time.perf_counter() - started_s)


def training(model, batches):
    """Images a second of a training's steps, without the first, which starts the input."""
    import keras

    ends_s = []
    clock = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ends_s.append(time.perf_counter()))
    model.fit(batches, steps_per_epoch=1 + STEPS["training"], epochs=1, shuffle=False, verbose=0, callbacks=[clock])
    return BATCH_SIZE * (len(ends_s) - 1) / (ends_s[-1] - ends_s[0])


if __name__ == "__main__":
    main()
