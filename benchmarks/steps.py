"""Training steps against PyTorch's, on the same processors in the same call: images a second, ratios and their bars.

    pip install -e '.[bench]'
    python -m benchmarks.steps            # about three minutes on an otherwise idle machine

All-CNN-C on 32x32x3 at width 1 and 1/3, batch 128, with the recipe `fast`: flipped uint8 images from memory, forward,
backward, AdamW. Ours goes through what `training.train` goes through, `fit.run` with its Keeper, in float32 and in what
`training.precision` chooses here; PyTorch's is eager and channels_last, in float32 and under bfloat16 autocast. They
take turns, and ratios are medians over the rounds. The processor's peak is the best of some large products of matrices,
taken in each round too; a step counts three times the multiply-adds of its forward pass.
"""

import contextlib
import dataclasses
import importlib.util
import io
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro

from benchmarks.serving import Row
from training.quiet import import_tensorflow

NAME, SHAPE, NUM_CLASSES, BATCH_SIZE = "all_cnn_c", (32, 32, 3), 10, 128
WIDTHS = {"1": (1.0, 3), "1/3": (1 / 3, 16)}  # width, steps measured in a round
MATRIX_SIZE = 2048
BAR = 1.0


@dataclasses.dataclass(frozen=True)
class StepsConfig:
    """Compare training steps with PyTorch's."""

    rounds: int = 5
    """of every variant in turn"""


class Speeds(NamedTuple):
    """Images a second of each variant, and multiply-adds a second of a product of matrices, in one round."""

    images: dict[str, float]
    peaks: dict[str, float]


def main(argv=None):
    config = tyro.cli(StepsConfig, args=argv, use_underscores=True)
    if importlib.util.find_spec("torch") is None:
        raise SystemExit("PyTorch, which this compares with, is not here. Install it with: pip install -e '.[bench]'")
    import_tensorflow()
    print("| what | measured | figure | bar | met |\n| --- | --- | --- | --- | --- |")
    for name, (width, steps) in WIDTHS.items():
        rounds = measure(width, steps, config.rounds)
        print(*rows(name, width, rounds), sep="\n", flush=True)


def measure(width, steps, rounds):
    """[Speeds]: one for each round, after one that only warms up."""
    from benchmarks.torch_steps import TorchSteps
    from training.precision import choose_policy

    random = np.random.default_rng(0)
    images = random.integers(0, 256, ((1 + steps) * BATCH_SIZE, *SHAPE), np.uint8)
    labels = random.integers(0, NUM_CLASSES, len(images)).astype("int32")
    ours = {policy: OurSteps(width, policy, images, labels) for policy in dict.fromkeys(["float32", choose_policy()])}
    theirs = {f"PyTorch {dtype}": TorchSteps(width, dtype, images, labels) for dtype in ("float32", "bfloat16")}
    variants = {**ours, **theirs}
    measured = [
        Speeds({name: variant.images_per_s() for name, variant in variants.items()}, {p: peak(p) for p in ours})
        for _ in range(1 + rounds)
    ]
    return measured[1:]


class OurSteps:
    """Trains as training.train does, with layers that compute by a Keras dtype policy."""

    def __init__(self, width, policy, images, labels):
        from training import recipes
        from training.batches import Batches
        from training.datasets import Split

        recipe = dataclasses.replace(recipes.recipe("fast"), batch_size=BATCH_SIZE)
        self.batches = Batches(Split(images, labels), NUM_CLASSES, recipe, seed=0)
        self.model = compiled(width, policy, recipe, images)

    def images_per_s(self):
        """Of an epoch's steps without the first, which starts the input."""
        import keras

        from training import checkpoints, fit

        ends_s = []
        clock = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: ends_s.append(time.perf_counter())
        )
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            keeper = fit.StateKeeper(Path(folder), checkpoints.Progress())
            fit.run(self.model, self.batches, 1, keeper, [clock, keeper], None)
        return BATCH_SIZE * (len(ends_s) - 1) / (ends_s[-1] - ends_s[0])


def compiled(width, policy, recipe, images):
    """The network for such images, ready to be trained by `recipe`."""
    import zoo
    from training import recipes
    from training.inputs import front
    from training.precision import dtype_policy

    with dtype_policy(policy):
        layers = front(recipe.inputs, images)()
        model = zoo.build(NAME, input_shape=images.shape[1:], num_classes=NUM_CLASSES, width=width, front=layers)
        recipes.compile_for_training(model, recipe, steps=1000)
    model.optimizer.build(model.trainable_variables)
    return model


def peak(policy):
    """Multiply-adds a second of a large product of matrices, in the type that `policy` computes with."""
    import tensorflow as tf

    dtype = "bfloat16" if policy == "mixed_bfloat16" else "float32"
    matrix = tf.cast(tf.random.normal((MATRIX_SIZE, MATRIX_SIZE)), dtype)
    times_s = []
    for _ in range(4):
        started_s = time.perf_counter()
        tf.matmul(matrix, matrix).numpy()
        times_s.append(time.perf_counter() - started_s)
    return MATRIX_SIZE**3 / min(times_s)


def rows(name, width, rounds):
    """The lines of one width."""
    for policy in rounds[0].peaks:
        theirs = f"PyTorch {'bfloat16' if policy == 'mixed_bfloat16' else 'float32'}"
        ours, reference = (np.median([speeds.images[which] for speeds in rounds]) for which in (policy, theirs))
        ratio = np.median([speeds.images[policy] / speeds.images[theirs] for speeds in rounds])
        yield Row(
            f"training step, width {name}, {policy}, by {theirs}", f"{ours:,.0f} images/s; {reference:,.0f}", ratio, BAR
        )
    yield from peak_lines(name, width, rounds)


def peak_lines(name, width, rounds):
    multiply_adds = 3 * forward_multiply_adds(width)
    for policy in rounds[0].peaks:
        speed = multiply_adds * np.median([speeds.images[policy] for speeds in rounds])
        highest = max(speeds.peaks[policy] for speeds in rounds)
        pair = f"{speed / 1e9:,.0f} and {highest / 1e9:,.0f} G multiply-adds/s"
        yield f"| the same, {policy}, by the peak of matrix products | {pair} | {speed / highest:.2f} | | |"


def forward_multiply_adds(width):
    import zoo
    from zoo.account import account

    return account(zoo.build(NAME, input_shape=SHAPE, num_classes=NUM_CLASSES, width=width)).total("multiply_adds")


if __name__ == "__main__":
    main()
