"""Train a grid of networks and seeds, and tell with intervals which is better.

python -m training.compare
"""

import dataclasses
import hashlib
import itertools
import json
import sys
from pathlib import Path

import tyro

from training import checks, folders, grid, metrics, recipes
from training.class_names import CLASS_NAMES
from training.errors import command_line, continued, exit_with_a_sentence
from training.ledger import Ledger
from training.quiet import import_tensorflow
from training.shifts import MOST_PIXELS, shift_scores
from training.train import TrainConfig, train
from zoo import catalog

MODELS = ("base_c", "strided_cnn_c", "convpool_cnn_c", "all_cnn_c", "sprint_pool", "sprint_all_conv")
MOST_SEEDS = 1000
ENOUGH = 100  # training images to fit a network's first layers to, where only its cost is asked for
SHIFTED = 2000  # test images that are shifted: sixteen times each, which for all of them takes as long as an epoch
SAME = tuple(f"same_{pixels}" for pixels in range(1, MOST_PIXELS + 1))
COLUMNS = (*grid.Cell._fields, "accuracy", "calibration_error", *SAME, "parameters", "multiply_adds", "seconds")


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """Train a grid of networks and seeds, and tell with intervals which is better.

    Twice: at equal epochs, and at equal multiply-adds, where each network gets as many epochs as make its training
    cost what that of the first does. Finished trainings are kept in compare_<dataset>.csv and not done again; the
    begun one goes on when the same command is given again. The table and plot are beside it.
    """

    models: tuple[str, ...] = MODELS
    """names in the catalog; the first one's cost is the budget at equal multiply-adds"""
    seeds: int = 3
    """trainings of each network, with the seeds 0, 1, ..."""
    dataset: str = "fashion_mnist"
    """fashion_mnist, mnist, cifar10, cifar100, or the path of a folder or tar archive of pictures"""
    data_dir: Path | None = None
    """folder with the IDX files of fashion_mnist or mnist; by default they are looked for, then downloaded"""
    width: float = 1 / 3
    """multiplies every network's numbers of filters"""
    recipe: str = "fast"
    """how to train; see training/recipes.py"""
    epochs: int | None = None
    """of each network at equal epochs, and of the first at equal multiply-adds; by default the recipe's"""
    results_root: Path = Path("results")
    """folder of the CSV file, the table and the plot"""
    runs_root: Path = Path("runs")
    """folder of logs, checkpoints and, in compare/, the exported models"""

    def __post_init__(self):
        for model in self.models:
            entry = catalog.entry(model)
            if entry.family in ("generative", "pretrained"):
                raise ValueError(
                    f"{model} cannot be compared: it is no network that all are trained alike from scratch."
                )
        recipes.recipe(self.recipe)
        checks.positive(self, "seeds", "epochs", "width")
        if self.seeds > MOST_SEEDS:
            raise ValueError(f"seeds must be at most {MOST_SEEDS}, got {self.seeds}.")
        if len(set(self.models)) != len(self.models) or not self.models:
            raise ValueError(f"models must be one or more names, each once, got {', '.join(self.models) or 'none'}.")

    @property
    def chosen_epochs(self):
        return self.epochs or recipes.recipe(self.recipe).epochs


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    command = command_line("training.compare", argv)
    with exit_with_a_sentence(continued(command)):
        config = tyro.cli(CompareConfig, args=argv, prog="python -m training.compare", use_underscores=True)
        import_tensorflow()
        compare(config, command)


def compare(config, command):
    """Trains what is not in the ledger yet and writes the comparison: the path of its table."""
    from training import comparison, datasets

    folders.require_writable(config.results_root, config.runs_root)
    data = datasets.load(config.dataset, data_dir=config.data_dir)
    ledger = Ledger(config.results_root / f"compare_{data.name}.csv", COLUMNS, grid.Cell._fields)
    given = {"dataset": identity(config, data), "width": config.width, "recipe": config.recipe}
    plans = {
        budget: grid.cells(epochs, config.seeds, **given)
        for budget, epochs in grid.plans(costs(config, data), config.chosen_epochs).items()
    }
    cells = sorted(dict.fromkeys(itertools.chain(*plans.values())), key=lambda cell: cell.seed)
    for number, cell in enumerate(cells, 1):
        if not ledger.find(cell._asdict()):
            print(f"{number} of {len(cells)}: {cell.model}, {cell.epochs} epochs, seed {cell.seed}", flush=True)
            ledger.add({**cell._asdict(), **measured(config, cell, data)})
    rows = {budget: [ledger.find(cell._asdict()) for cell in cells] for budget, cells in plans.items()}
    path = comparison.write(ledger.path.with_suffix(".md"), rows, data, command)
    print(path.read_text("utf-8"))
    print(f"{ledger.path}, {path} and {path.with_suffix('.png')}")
    return path


def identity(config, data):
    """What rows call the data: its name alone only says what is in a dataset that is known by it."""
    is_known = config.dataset in CLASS_NAMES and config.data_dir is None
    return data.name if is_known else f"{data.name}-{data.digest[:8]}"


def costs(config, data):
    """{model: multiply-adds of one image}."""
    from training import inputs
    from training.train import build
    from zoo.account import account

    front = inputs.front(recipes.recipe(config.recipe).inputs, data.train.images[:ENOUGH])
    return {
        model: account(build(train_config(config, model), data, front())).total("multiply_adds")
        for model in config.models
    }


def train_config(config, model, *, epochs=1, **given):
    return TrainConfig(
        model=model,
        dataset=config.dataset,
        data_dir=config.data_dir,
        width=config.width,
        recipe=recipes.recipe(config.recipe, epochs=epochs),
        models_root=config.runs_root / "compare",
        runs_root=config.runs_root,
        **given,
    )


def measured(config, cell, data):
    """Trains and exports the cell's network, and measures what was exported: {column: value}."""
    import keras

    from training.artifact import Artifact

    keras.backend.clear_session()  # else every network before it stays in memory
    name = f"{word(cell.model)}-{data.name}-{cell.epochs}-epochs-seed-{cell.seed}"
    artifact = Artifact(train(train_config(config, cell.model, epochs=cell.epochs, seed=cell.seed, name=name), data))
    card = json.loads((artifact.path / "model_card.json").read_text("utf-8"))
    probabilities = artifact.probabilities(data.test.images)
    shifts = shift_scores(artifact.predictions, data.test.images[:SHIFTED], data.test.labels[:SHIFTED])
    return {
        "accuracy": round(metrics.accuracy(probabilities, data.test.labels).share, 6),
        "calibration_error": round(metrics.calibration_error(probabilities, data.test.labels), 6),
        **{name: round(score.same, 6) for name, score in zip(SAME, shifts[1:], strict=True)},
        **{name: card[name] for name in ("parameters", "multiply_adds", "seconds")},
    }


def word(model):
    """The model's name; of a pattern one that a folder can have."""
    return model if model.isidentifier() else f"pattern-{hashlib.sha256(model.encode()).hexdigest()[:8]}"


if __name__ == "__main__":
    main()
