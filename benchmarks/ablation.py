"""What each switch of the recipe "airbench" buys: accuracy, and epochs to a target, with it off.

python -m benchmarks.ablation --data cifar10

A training for each switch and each number of epochs. Finished ones are kept in a CSV file and not done again.
"""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

import tyro

from training import recipes
from training.errors import exit_with_a_sentence
from training.ledger import Ledger
from training.quiet import import_tensorflow
from training.train import TrainConfig, train

OFF = {
    "nothing": {},
    "whitening first layer": {"inputs": "standard"},
    "identity": {"identity": False},
    "rate of the norms' biases": {"norm_bias_rate": 1.0},
    "scaled scores": {"score_scale": 1.0},
    "triangular schedule": {"schedule": "cosine"},
    "lookahead": {"lookahead": False},
    "label smoothing": {"label_smoothing": 0.0},
    "alternating flips": {"flips": "random"},
    "shifts": {"shift": 0},
}
KEY = ("data", "model", "width", "off", "epochs", "seed")
MEASURED = ("accuracy", "with_test_time_augmentation", "seconds")


@dataclasses.dataclass(frozen=True)
class AblationConfig:
    """Train with each switch off, and tell what that costs."""

    data: str = "cifar10"
    """cifar10, another dataset's name, or the path of a folder or tar archive of pictures"""
    model: str = "airbench"
    """name in the catalog"""
    width: float = 0.25
    """multiplies the network's numbers of filters"""
    epochs: tuple[int, ...] = (4, 8)
    """of each training"""
    target: float = 0.82
    """the accuracy, with test-time augmentation, to which epochs are counted, in a line through those trained"""
    seed: int = 0
    """of each training"""
    results_root: Path = Path("results")
    """folder of the CSV file"""


def main(argv=None):
    config = tyro.cli(AblationConfig, args=argv, prog="python -m benchmarks.ablation", use_underscores=True)
    config = dataclasses.replace(config, epochs=tuple(sorted(set(config.epochs))))
    import_tensorflow()
    with exit_with_a_sentence():
        from training import datasets

        ledger = Ledger(config.results_root / "ablation.csv", (*KEY, *MEASURED), KEY)
        data = datasets.load(config.data)
        for off in OFF:
            for epochs in config.epochs:
                key = key_of(config, data, off, epochs)
                if not ledger.find(key):
                    print(f"Off: {off}, {epochs} epochs", file=sys.stderr)
                    ledger.add({**key, **measured(config, data, OFF[off], epochs)})
    for line in table(config, data, ledger):
        print(line)


def key_of(config, data, off, epochs):
    values = (f"{data.name}-{data.digest[:8]}", config.model, f"{config.width:.6g}", off, epochs, config.seed)
    return dict(zip(KEY, values, strict=True))


def measured(config, data, changes, epochs):
    """Trains with `changes` to the recipe: {column: value}."""
    import keras

    keras.backend.clear_session()  # else every network before it stays in memory
    with tempfile.TemporaryDirectory() as folder:
        recipe = recipes.recipe("airbench", epochs=epochs, **changes)
        where = {"models_root": Path(folder) / "models", "runs_root": Path(folder) / "runs"}
        given = {"model": config.model, "dataset": config.data, "width": config.width, "seed": config.seed}
        path = train(TrainConfig(recipe=recipe, **given, **where), data)
        card = json.loads((path / "model_card.json").read_text("utf-8"))
    augmented = card["test_time_augmentation"]["test"]
    return dict(zip(MEASURED, (card["accuracy"]["test"], augmented, card["seconds"]), strict=True))


def table(config, data, ledger):
    """The lines of a Markdown table."""
    counts = " | ".join(f"{epochs} epochs" for epochs in config.epochs)
    yield f"{config.model}, width {config.width:g}, seed {config.seed}: accuracy, and with test-time augmentation"
    yield ""
    yield f"| off | {counts} | epochs to {config.target:.0%} |"
    yield f"|{' --- |' * (len(config.epochs) + 2)}"
    for off in OFF:
        rows = [ledger.find(key_of(config, data, off, epochs)) for epochs in config.epochs]
        plain, augmented = ([float(row[name]) for row in rows] for name in MEASURED[:2])
        cells = " | ".join(f"{one:.2%}, {other:.2%}" for one, other in zip(plain, augmented, strict=True))
        yield f"| {off} | {cells} | {epochs_to(config.target, config.epochs, augmented)} |"


def epochs_to(target, epochs, accuracies):
    """Where the line through the measured points reaches `target`; outside them, which side."""
    if accuracies[0] >= target:
        return f"at most {epochs[0]}"
    for at in range(1, len(epochs)):
        low, high = accuracies[at - 1 : at + 1]
        if high >= target:
            return f"{epochs[at - 1] + (epochs[at] - epochs[at - 1]) * (target - low) / (high - low):.1f}"
    return f"more than {epochs[-1]}"


if __name__ == "__main__":
    main()
