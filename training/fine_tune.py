"""Fine-tune a pretrained network on a folder of photographs and export it for serving.

python -m training.fine_tune --data flowers --backbone mobilenet
"""

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from training import checks, folders, metrics
from training.errors import InputError, exit_with_a_sentence
from training.progress import Stopwatch
from training.quiet import import_tensorflow
from zoo import catalog


@dataclasses.dataclass(frozen=True)
class FineTuneConfig:
    """Fine-tune a pretrained network on a folder of photographs and export it as the next version of a served model.

    First a classifier is fitted to what the frozen network makes of each picture, which takes seconds; then the last
    layers are trained on together with it. The test pictures decide nothing: they are scored once, at the end.
    """

    data: Path
    """folder of pictures: train/<class>/* and test/<class>/*, or <class>/*, of which a fifth is tested on"""
    backbone: str = "mobilenet"
    """name in the catalog; `python -m zoo list` shows them"""
    weights: str = "imagenet"
    """imagenet (downloaded once) or a file of Keras weights; for a network of the zoo's own a version directory, or
    the dataset of the weights that the zoo ships, such as fashion_mnist"""
    regime: Literal["fine-tune", "features-only"] = "fine-tune"
    """features-only stops before any layer is unfrozen: a strong baseline in seconds"""
    unfreeze: int = 20
    """how many of the last layers are trained on with the classifier; batch normalisation is not counted and stays"""
    epochs: int = 20
    """passes over the training pictures with layers unfrozen, at most: training stops early"""
    batch_size: int = 32
    """pictures per step"""
    learning_rate: float = 3e-4
    """the highest one with layers unfrozen"""
    image_size: int | None = None
    """height and width that pictures are resized to; by default the network's"""
    width: float = 1 / 3
    """of a network of the zoo's own, where its weights are a file; a version directory knows its own"""
    validation_share: float = 0.15
    """share of each class's training pictures that is held out to decide when to stop"""
    seed: int = 0
    """decides the parts, the order of the pictures and their augmentation"""
    name: str | None = None
    """what the model is served as; by default the folder's name"""
    models_root: Path = Path("models")
    """folder of the exported models"""
    runs_root: Path = Path("runs")
    """folder of reports, logs and decoded pictures"""

    def __post_init__(self):
        catalog.entry(self.backbone)
        checks.positive(self, "unfreeze", "epochs", "batch_size", "learning_rate", "image_size", "width")
        checks.held_out_share(self)
        checks.seed(self)
        checks.served_name(self.served_name)

    @property
    def served_name(self):
        return self.data.resolve().name if self.name is None else self.name


def main(argv=None):
    with exit_with_a_sentence("What finished stages read and computed is kept for the same command."):
        config = tyro.cli(FineTuneConfig, args=argv, prog="python -m training.fine_tune", use_underscores=True)
        import_tensorflow()  # after the command line is known good: it takes seconds
        fine_tune(config)


def fine_tune(config):
    """Pictures, features, head, layers, scores, export: the version directory."""
    import keras

    from training import backbones, photographs
    from training.export import require_kin

    checks.exportable(config.models_root / config.served_name)
    folders.require_writable(config.models_root / config.served_name, config.runs_root / config.served_name)
    keras.utils.set_random_seed(config.seed)
    watch = Stopwatch()
    listing = photographs.find(config.data, config.seed)
    plan = backbones.plan(config.backbone, config.weights, image_size=config.image_size, width=config.width)
    model = backbones.build(plan, len(listing.class_names))
    require_kin(config.models_root / config.served_name, listing.class_names, config.data)
    cache = photographs.cache_folder(config.runs_root, config.data)
    cache.mkdir(parents=True, exist_ok=True)
    with folders.locked(cache):
        return fine_tuned(model, plan, listing, cache, config, watch)


def fine_tuned(model, plan, listing, cache, config, watch):
    from training import photographs

    with watch("pictures"):
        photos = photographs.read(listing, plan.image_shape, cache)
    parts = photographs.part(photos, config.validation_share, config.seed)
    probabilities, recipe = learn(model, photos, parts, config, watch)
    accuracy = metrics.accuracy(probabilities, photos.labels[parts.test])
    with watch("export"):
        path = publish(model, config, plan, photos, parts, recipe, accuracy, sum(watch.seconds.values()))
    tell(photos, parts, probabilities, accuracy, config.runs_root / config.served_name)
    print(f"Seconds: {watch}.")
    print(f"SavedModel: {path}")
    return path


def learn(model, photos, parts, config, watch):
    """Trains `model`: (probabilities [M, K] of the test pictures, what a card says of the training)."""
    import zoo
    from training import backbones, features, head

    weights = head.class_weights(photos.labels[parts.training], photos.num_classes)[photos.labels]
    with watch("features"):
        known = features.cached_features(zoo.features(model), photos)
    if not np.isfinite(known).all():
        raise InputError(
            f"{config.backbone} with the weights {config.weights} gives features that are no finite numbers."
        )

    def rows(*indices):
        indices = np.concatenate(indices)
        return known[indices], photos.labels[indices], weights[indices]

    with watch("head"):
        best, penalty = head.best_head(rows(parts.training), rows(parts.validation), photos.num_classes)
    print(f"Frozen: {validated(best.probabilities(known[parts.validation]), photos, parts)}.")
    recipe = {"name": config.regime, "weights": Path(config.weights).name, "penalty": penalty}
    if config.regime == "features-only":
        with watch("head"):  # the penalty is chosen, so the pictures it was chosen by can be learned from too
            best = head.fit(*rows(parts.training, parts.validation), photos.num_classes, penalty)
        backbones.set_head(model, *best)
        return best.probabilities(known[parts.test]), recipe
    backbones.set_head(model, *best)
    with watch("layers"):
        train_layers(model, photos, parts, weights, config)
    with watch("scores"):
        probabilities = features.compute("Scoring the test", model, photos, parts.test)
    fields = ("unfreeze", "epochs", "batch_size", "learning_rate")
    return probabilities, recipe | {field: getattr(config, field) for field in fields}


def train_layers(model, photos, parts, weights, config):
    from training import features, unfreeze

    unfreeze.unfreeze(model, config.unfreeze)
    losses = unfreeze.train(
        model,
        photos,
        parts,
        weights,
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        seed=config.seed,
        logs=config.runs_root / config.served_name,
    )
    if losses.after < losses.before:
        probabilities = features.compute("Scoring the validation", model, photos, parts.validation)
        print(f"Unfrozen: {validated(probabilities, photos, parts)}.")
    else:
        print("Unfrozen layers did not lower the validation loss; they are as they were.")


def validated(probabilities, photos, parts):
    return f"right on the validation pictures: {metrics.accuracy(probabilities, photos.labels[parts.validation])}"


def tell(photos, parts, probabilities, accuracy, folder):
    """Prints and draws how good the classifier is on the test pictures."""
    from training.image_folder import printable
    from training.mistakes import save_images, worst_mistakes
    from training.plots import save_confusion

    labels = photos.labels[parts.test]
    commonest = int(np.bincount(photos.labels[~photos.is_test]).argmax())
    guessed = metrics.Accuracy(int((labels == commonest).sum()), len(labels))
    folder.mkdir(parents=True, exist_ok=True)
    confusion = metrics.confusion_matrix(probabilities.argmax(axis=1), labels, photos.num_classes)
    save_confusion(folder / "confusion.png", confusion, photos.class_names, photos.name)
    worst = worst_mistakes(probabilities, labels)
    picture = folder / "mistakes.png"
    titles = [
        f"{photos.class_names[probabilities[at].argmax()]} {probabilities[at].max():.0%}\n"
        f"is {photos.class_names[labels[at]]}\n{printable(Path(photos.paths[parts.test[at]]).name)}"
        for at in worst
    ]
    picture.unlink(missing_ok=True)
    if worst:
        save_images(picture, photos.images(parts.test[worst]), titles)
    print(f"Right on the test pictures: {accuracy}.")
    print(f"Always guessing the commonest class, {photos.class_names[commonest]}: {guessed}.")
    mistakes = f"; worst mistakes: {picture}" if worst else ""
    print(f"Confusion matrix: {folder / 'confusion.png'}{mistakes}")


def publish(model, config, plan, photos, parts, recipe, accuracy, seconds):
    """The next version of `model`, with all its signatures and its card."""
    from training.export import export
    from training.model_card import measured
    from training.train import sliding

    card = {
        "name": config.served_name,
        "model": {
            "name": plan.name,
            "width": plan.width,
            "image_shape": list(plan.image_shape),
            "front": plan.front,
        },
        "dataset": {
            "name": photos.name,
            "source": photos.source,
            "classes": photos.num_classes,
            "train_images": len(parts.training) + len(parts.validation),
            "test_images": len(parts.test),
        },
        "recipe": recipe,
        "seed": config.seed,
        **measured(model, accuracy, seconds),
    }
    return export(
        model,
        config.models_root,
        config.served_name,
        sliding=sliding(model),
        class_names=photos.class_names,
        card=card,
    )


if __name__ == "__main__":
    main()
