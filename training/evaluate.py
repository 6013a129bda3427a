"""Measure an exported classifier on a dataset's test images.

python -m training.evaluate models/all_cnn_c/1 --dataset fashion_mnist
"""

import dataclasses
import json
import sys
from pathlib import Path

import tyro

from training import checks, folders, metrics
from training.class_names import CLASS_NAMES
from training.errors import exit_with_a_sentence
from training.quiet import import_tensorflow


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Measure an exported classifier on a dataset's test images.

    Runs the SavedModel through its signatures, as a server does. Prints accuracy, a line for each class, the
    calibration error and what shifts do, and writes them with the confusion matrix under results/.
    """

    path: tyro.conf.Positional[Path]
    """a version directory, such as models/all_cnn_c/1; of a model's directory the highest version is taken"""
    dataset: str | None = None
    """fashion_mnist, mnist, cifar10, cifar100, or the path of a folder or tar archive of pictures; by default what the
    model's card says it was trained on"""
    data_dir: Path | None = None
    """folder with the IDX files of fashion_mnist or mnist; by default they are looked for, then downloaded"""
    seed: int | None = None
    """of the split into training and test images, where a folder has none; by default the one in the model's card"""
    results_root: Path = Path("results")
    """folder of results; this one's are in <model>-<version>-<dataset> below it"""

    def __post_init__(self):
        checks.seed(self)


def main(argv=None):
    with exit_with_a_sentence():
        config = tyro.cli(EvaluateConfig, args=argv, prog="python -m training.evaluate", use_underscores=True)
        import_tensorflow()
        measure(config)


def measure(config):
    """Loads, measures, prints and writes; returns the folder of the results."""
    from training import datasets, plots
    from training.artifact import Artifact, labels_for
    from training.shifts import shift_scores

    folders.require_writable(config.results_root)
    artifact = Artifact(config.path)
    name = config.dataset or artifact.dataset
    data = datasets.load(
        name,
        data_dir=config.data_dir,
        image_size=None if name in CLASS_NAMES else picture_size(artifact.image_shape),
        channels=artifact.image_shape[-1],
        seed=split_seed(config, name, artifact.card),
        test_only=True,
    )
    labels = labels_for(artifact, data, data.test.labels)
    probabilities = artifact.probabilities(data.test.images)
    accuracy = metrics.accuracy(probabilities, labels)
    confusion = metrics.confusion_matrix(probabilities.argmax(axis=1), labels, len(artifact.class_names))
    scores = metrics.class_scores(confusion)
    calibration = metrics.calibration_error(probabilities, labels)
    shifts = shift_scores(artifact.predictions, data.test.images, labels)
    for line in report(accuracy, scores, calibration, shifts, artifact.class_names):
        print(line)
    folder = config.results_root / f"{artifact.name}-{data.name}"
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{artifact.name} on {data.name}: percent of each class"
    plots.save_confusion(folder / "confusion.png", confusion, artifact.class_names, title)
    content = as_json(accuracy, scores, calibration, shifts, artifact.class_names) | {"confusion": confusion.tolist()}
    (folder / "evaluation.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{folder / 'confusion.png'} and {folder / 'evaluation.json'}")
    return folder


def split_seed(config, name, card):
    """The seed of the split into training and test images: what was trained on is not to be tested on."""
    trained = card.get("dataset", {}).get("split_seed", card.get("seed", 0))
    if name not in CLASS_NAMES and config.seed not in (None, trained):
        print(
            f"{config.path} was trained with seed {trained}: if {name} has no test part, seed {config.seed} "
            "tests on images that it was trained on. Leave --seed out.",
            file=sys.stderr,
        )
    return trained if config.seed is None else config.seed


def picture_size(image_shape):
    """What a folder's pictures are to be resized to; None for a model that leaves it free."""
    return image_shape[0] if image_shape[0] == image_shape[1] else None


def report(accuracy, scores, calibration, shifts, class_names):
    """The lines to print, each at most 80 columns wide."""
    yield f"Right on the test images: {accuracy}."
    yield ""
    yield f"{'class':18}{'images':>7}{'recall':>8}  {'95% interval':15}{'precision':>9}  mostly mistaken for"
    for name, score in zip(class_names, scores, strict=True):
        yield class_line(name, score, class_names)
    yield ""
    yield f"Expected calibration error: {calibration:.2%} (15 bins)"
    yield ""
    yield f"{'shift by':14}{'accuracy':>9}{'same prediction':>18}"
    for score in shifts:
        yield f"{f'{score.pixels} pixel' + 's' * (score.pixels != 1):14}{score.accuracy:9.2%}{score.same:18.2%}"


def class_line(name, score, class_names):
    recall = interval = mistaken = ""
    if score.recall:
        recall, interval = f"{score.recall.share:.1%}", "{:.1%} to {:.1%}".format(*score.recall.interval)
    if score.mistaken_for:
        at, share = score.mistaken_for
        mistaken = f"{shortened(class_names[at], 12)} {share:.1%}"
    images = score.recall.total if score.recall else 0
    precision = "" if score.precision is None else f"{score.precision:.1%}"
    return f"{shortened(name, 17):18}{images:7,}{recall:>8}  {interval:15}{precision:>9}  {mistaken}".rstrip()


def shortened(name, width):
    return name if len(name) <= width else f"{name[: width - 1]}…"


def as_json(accuracy, scores, calibration, shifts, class_names):
    return {
        "accuracy": accuracy_json(accuracy),
        "calibration_error": calibration,
        "classes": [
            {
                "name": name,
                "recall": score.recall and accuracy_json(score.recall),
                "precision": score.precision,
                "mistaken_for": score.mistaken_for
                and {"name": class_names[score.mistaken_for[0]], "share": score.mistaken_for[1]},
            }
            for name, score in zip(class_names, scores, strict=True)
        ],
        "shifts": [score._asdict() for score in shifts],
    }


def accuracy_json(accuracy):
    return {"share": accuracy.share, "interval": list(accuracy.interval), **accuracy._asdict()}


if __name__ == "__main__":
    main()
