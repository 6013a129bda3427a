"""Train one network of the zoo and export it for serving.

python -m training.train --model all_cnn_c --dataset fashion_mnist
"""

import argparse
import dataclasses
import glob
import hashlib
import sys
from pathlib import Path

import tyro

from training import checks, folders
from training.errors import InputError, command_line, continued, exit_with_a_sentence
from training.quiet import import_tensorflow
from training.recipes import RECIPES, Recipe, compile_for_training, recipe
from zoo import catalog
from zoo.backbones import BACKBONES

FEW_STEPS, ENOUGH_STEPS = 300, 1000  # of gradient descent in a whole training


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Train one network of the zoo and export it as the next version of a served model.

    A training that was stopped or killed goes on when the same command is given again.
    """

    model: str = "all_cnn_c"
    """name in the catalog (`python -m zoo list` shows them), or a pattern, INPUT -> [CONV -> RELU -> POOL]*2 -> FC"""
    dataset: str = "fashion_mnist"
    """fashion_mnist, mnist, cifar10, cifar100, or the path of a folder or tar archive of pictures"""
    data_dir: Path | None = None
    """folder with the IDX files of fashion_mnist or mnist; by default they are looked for, then downloaded"""
    image_size: int | None = None
    """height and width that a folder's pictures are resized to; by default their own if equal and small, else 64"""
    width: float = 1 / 3
    """multiplies the network's numbers of filters; 1 is the source's network"""
    recipe: tyro.conf.OmitArgPrefixes[Recipe] = RECIPES["fast"]
    """how to train"""
    validation_share: float = 0.02
    """share of the training images held out to watch the training by; at least a hundred, or a seventh of few"""
    seed: int = 0
    """decides the first weights, the order of the images and their augmentation"""
    name: str | None = None
    """what the model is served as; by default the network's name, and "pattern" for a pattern"""
    models_root: Path = Path("models")
    """folder of the exported models"""
    runs_root: Path = Path("runs")
    """folder of logs and checkpoints"""

    def __post_init__(self):
        if catalog.entry(self.model).family == "generative":
            raise ValueError(
                f"{self.model} is a generative network and not a classifier: python -m training.train_generative "
                f"--model {self.model} trains it."
            )
        if self.model in BACKBONES and (self.width != 1 or self.recipe.inputs != "unit"):
            raise InputError(
                f"{self.model} has one width, and scales the pixels itself: leave --width and --inputs out. With its "
                "ImageNet weights python -m training.fine_tune trains it."
            )
        checks.positive(self, "image_size", "width")
        checks.held_out_share(self)
        checks.seed(self)
        if self.name is not None:
            checks.served_name(self.name)

    @property
    def served_name(self):
        """What the model is served as: a pattern is no name."""
        return self.name or (self.model if self.model.isidentifier() else "pattern")


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    with exit_with_a_sentence(continued(command_line("training.train", argv))):
        config = parse(argv)
        import_tensorflow()  # after the command line is known good: it takes seconds
        train(config)


def parse(argv):
    """The command line's TrainConfig; --recipe and --model decide what the other options are by default."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--recipe", nargs="?", const="fast", default="fast")
    first.add_argument("--model", nargs="?", default=TrainConfig.model)
    named, _ = first.parse_known_args(argv)
    try:
        default = TrainConfig(recipe=recipe(named.recipe))
        if named.model in BACKBONES:  # of one width, with a scaling of the pixels of their own
            default = TrainConfig(width=1.0, recipe=recipe(named.recipe, inputs="unit"))
    except ValueError as error:
        raise InputError(str(error)) from error
    return tyro.cli(TrainConfig, args=argv, default=default, prog="python -m training.train", use_underscores=True)


def train(config, data=None):
    """Dataset, model, training, evaluation, export: the version directory, None on a machine that only helped.

    Args:
        data: the config's dataset, where it is loaded already.
    """
    import keras

    from training import checkpoints, datasets, distribution, export, inputs
    from training.batches import Batches
    from training.precision import choose_policy, dtype_policy

    how = config.recipe
    strategy = distribution.choose_strategy()
    is_chief = distribution.is_chief(strategy)
    checks.exportable(config.models_root / config.served_name)
    if is_chief:
        folders.require_writable(config.models_root / config.served_name, config.runs_root)
    keras.utils.set_random_seed(config.seed)
    if data is None:
        data = datasets.load(config.dataset, data_dir=config.data_dir, image_size=config.image_size, seed=config.seed)
    if is_chief:
        export.require_kin(config.models_root / config.served_name, data.class_names, data.name)
        print(told(data))
    training, validation = datasets.hold_out(data.train, config.validation_share, config.seed)
    front = inputs.front(how.inputs, training.images)
    batches = Batches(training, data.num_classes, how, config.seed)
    if is_chief and batches.steps * how.epochs < FEW_STEPS:
        print(few_steps(batches.steps * how.epochs, len(training.labels)))
    with distribution.scope(strategy), dtype_policy(choose_policy()):
        model = build(config, data, front())
        compile_for_training(model, how, batches.steps * how.epochs)
    folder = run_folder(config, data, is_chief)
    if not is_chief:
        distribution.fit(strategy, model, batches, validation, how.epochs, folder)
        return None
    with folders.locked(folder):
        progress = distribution.fit(strategy, model, batches, validation, how.epochs, folder)
        trained = build(config, data, front())  # float32, whatever the training computed with
        trained.set_weights(model.get_weights())
        path, found = finish(trained, config, data, progress.seconds)
        checkpoints.clear(folder)
    print(found)
    print(f"SavedModel: {path}")
    return path


def told(data):
    height, width, channels = data.image_shape
    return (
        f"{data.name}: {data.num_classes} classes, {len(data.train.labels):,} training and {len(data.test.labels):,} "
        f"test images, {width}x{height}, {'gray' if channels == 1 else 'RGB'}."
    )


def few_steps(steps, images):
    epochs = -(-ENOUGH_STEPS // -(-images // 16))
    return (
        f"Only {steps} steps: too few to learn much in. --batch_size 16 --epochs {epochs} takes {ENOUGH_STEPS:,}; or "
        "python -m training.fine_tune starts from trained weights."
    )


def finish(model, config, data, seconds):
    """Evaluation and export of the trained `model`: (the version directory, what to tell)."""
    import numpy as np

    from training import multi_crop
    from training.model_card import model_card, scored

    accuracy = score(model, data.test)
    card = model_card(config, data, model, accuracy, seconds)
    found = f"Trained in {seconds:.0f} seconds; right on the test images: {accuracy}."
    commonest = np.bincount(data.train.labels).argmax()
    if accuracy.interval[0] <= (data.test.labels == commonest).mean():
        found += f"\nThat is no better than always guessing {data.class_names[commonest]}."
    if config.recipe.test_time_augmentation:
        augmented = score(multi_crop.augmented(model), data.test)
        card["test_time_augmentation"] = scored(augmented)
        found += f"\nWith test-time augmentation, which is not exported: {augmented}."
    return publish(model, config, data, card), found


def build(config, data, front):
    """The untrained network; what it cannot be built for is told in a sentence."""
    import zoo

    try:
        return zoo.build(
            config.model,
            input_shape=data.image_shape,
            num_classes=data.num_classes,
            width=config.width,
            front=front,
        )
    except ValueError as error:
        height, width, _ = data.image_shape
        larger = " A folder's pictures are made another size with --image_size." if "The smallest" in str(error) else ""
        raise InputError(
            f"{config.model} cannot be built for {data.name}, {width}x{height}: {error}{larger}"
        ) from error


def score(model, split):
    """How often `model` is right on `split`, as an Accuracy."""
    from training import metrics

    return metrics.accuracy(model.predict(split.images, batch_size=500, verbose=0), split.labels)


def publish(model, config, data, card):
    """The next version of `model`, with all its signatures and its card."""
    from training.export import export

    return export(
        model,
        config.models_root,
        config.served_name,
        sliding=sliding(model),
        class_names=data.class_names,
        card=card,
    )


def sliding(model):
    """The model that slides over larger images, or None for a network that cannot."""
    import zoo

    try:
        return zoo.convolutionize(model)
    except ValueError:
        return None


def run_folder(config, data, is_chief=True):
    """runs/<what is trained>: the same for the same command line and data, emptied unless it has a state to go on from.

    A machine that only helps leaves it as it is.
    """
    command = hashlib.sha256(repr(config).encode()).hexdigest()[:8]
    name = f"{config.served_name}-{data.name}-{config.recipe.name}-{command}"
    folder = config.runs_root / f"{name}-{data.digest[:8]}"
    if not is_chief:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with folders.locked(folder):
        if not list(folder.glob("state-*.npz")):
            stopped = next(config.runs_root.glob(f"{glob.escape(name)}-*/state-*.npz"), None)
            if stopped:
                print(f"{data.name} has changed since the training in {stopped.parent} stopped; training starts anew.")
            folders.empty(folder)
    return folder


if __name__ == "__main__":
    main()
