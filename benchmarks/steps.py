"""Training steps against PyTorch's, on the same processors in the same call: images a second, ratios and their bars.

    pip install -e '.[bench]'
    python -m benchmarks.steps            # about three minutes on an otherwise idle machine

All-CNN-C on 32x32x3 at width 1 and 1/3, batch 128, with the recipe `fast`: flipped uint8 images from memory, forward,
backward, AdamW. Ours goes through what `training.train` goes through, `fit.run` with its Keeper, in float32 and in what
`training.precision` chooses here; PyTorch's is eager and channels_last, in float32 and under bfloat16 autocast. They
take turns. A speed is that of the lower quartile of its steps' times, since what else runs on a machine only slows, and
slows PyTorch, whose operations wait for the slower of two halves, more than ours. The processor's peak is measured in
the same way on large products of matrices; a step counts three times the multiply-adds of its forward pass.
"""

import contextlib
import dataclasses
import importlib.util
import io
import tempfile
import time
from pathlib import Path

import numpy as np
import tyro

from benchmarks.table import HEADER, Row
from training.quiet import import_tensorflow

NAME, SHAPE, NUM_CLASSES, BATCH_SIZE = "all_cnn_c", (32, 32, 3), 10, 128
WIDTHS = {"1": (1.0, 3), "1/3": (1 / 3, 16)}  # width, steps measured in a round
MATRIX_SIZE = 2048
QUANTILE = 0.25
BAR = 1.0


@dataclasses.dataclass(frozen=True)
class StepsConfig:
    """Compare training steps with PyTorch's."""

    rounds: int = 5
    """of every variant in turn"""


def main(argv=None):
    config = tyro.cli(StepsConfig, args=argv, use_underscores=True)
    if importlib.util.find_spec("torch") is None:
        raise SystemExit("PyTorch, which this compares with, is not here. Install it with: pip install -e '.[bench]'")
    import_tensorflow()
    print(HEADER)
    for name, (width, steps) in WIDTHS.items():
        print(*rows(name, width, *measure(width, steps, config.rounds)), sep="\n", flush=True)


def measure(width, steps, rounds):
    """(images a second of each variant, multiply-adds a second of a product of matrices in each of our types)."""
    from benchmarks.torch_steps import TorchSteps
    from training.precision import choose_policy

    random = np.random.default_rng(0)
    images = random.integers(0, 256, ((1 + steps) * BATCH_SIZE, *SHAPE), np.uint8)
    labels = random.integers(0, NUM_CLASSES, len(images)).astype("int32")
    policies = [*dict.fromkeys(["float32", choose_policy()])]
    variants = {policy: OurSteps(width, policy, images, labels) for policy in policies}
    variants |= {f"PyTorch {dtype}": TorchSteps(width, dtype, images, labels) for dtype in ("float32", "bfloat16")}
    times_s = {name: [] for name in variants}
    products_s = {policy: [] for policy in policies}
    for a_round in range(1 + rounds):
        for name, variant in variants.items():
            found_s = variant.times_s()
            times_s[name] += found_s if a_round else []  # the first round warms up
        for policy in policies:
            products_s[policy] += product_times_s(policy)
    speeds = {name: BATCH_SIZE / np.quantile(found_s, QUANTILE) for name, found_s in times_s.items()}
    return speeds, {policy: MATRIX_SIZE**3 / np.quantile(found_s, QUANTILE) for policy, found_s in products_s.items()}


class OurSteps:
    """Trains as training.train does, with layers that compute by a Keras dtype policy."""

    def __init__(self, width, policy, images, labels):
        from training import recipes
        from training.batches import Batches
        from training.datasets import Split

        recipe = dataclasses.replace(recipes.recipe("fast"), batch_size=BATCH_SIZE)
        self.batches = Batches(Split(images, labels), NUM_CLASSES, recipe, seed=0)
        self.model = compiled(width, policy, recipe, images)

    def times_s(self):
        """Of each of an epoch's steps without the first, which starts the input."""
        import keras

        from training import checkpoints, fit

        ends_s = []
        clock = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: ends_s.append(time.perf_counter())
        )
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            keeper = fit.StateKeeper(Path(folder), checkpoints.Progress(), self.model)
            fit.run(self.model, self.batches, 1, keeper, [clock, keeper])
        return np.diff(ends_s).tolist()


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


def product_times_s(policy):
    """Of a few large products of matrices, in the type that `policy` computes with."""
    import tensorflow as tf

    dtype = "bfloat16" if policy == "mixed_bfloat16" else "float32"
    matrix = tf.cast(tf.random.normal((MATRIX_SIZE, MATRIX_SIZE)), dtype)
    times_s = []
    for _ in range(4):
        started_s = time.perf_counter()
        tf.matmul(matrix, matrix).numpy()
        times_s.append(time.perf_counter() - started_s)
    return times_s


def rows(name, width, speeds, peaks):
    """The lines of one width."""
    multiply_adds = 3 * forward_multiply_adds(width)
    for policy, peak in peaks.items():
        ours, theirs = speeds[policy], f"PyTorch {'bfloat16' if policy == 'mixed_bfloat16' else 'float32'}"
        measured = f"{ours:,.0f} images/s; {speeds[theirs]:,.0f}"
        yield Row(f"training step, width {name}, {policy}, by {theirs}", measured, ours / speeds[theirs], BAR)
        pair = f"{ours * multiply_adds / 1e9:,.0f} and {peak / 1e9:,.0f} G multiply-adds/s"
        yield f"| the same by the peak of matrix products | {pair} | {ours * multiply_adds / peak:.2f} | | |"


def forward_multiply_adds(width):
    import zoo
    from zoo.account import account

    return account(zoo.build(NAME, input_shape=SHAPE, num_classes=NUM_CLASSES, width=width)).total("multiply_adds")


if __name__ == "__main__":
    main()
