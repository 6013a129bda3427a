"""Score an exported model on a dataset's test images.

python -m training.evaluate models/all_cnn_c --dataset fashion_mnist
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import tyro

from training import datasets, metrics
from training.errors import InputError, exit_with_a_sentence
from training.quiet import import_tensorflow


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Score an exported model: accuracy, each class, confusions, calibration, and what shifted images change.

    Prints the tables, and writes them with a picture of the confusion matrix.
    """

    path: tyro.conf.Positional[Path]
    """a version directory, or the folder of a model's versions, of which the newest is scored"""
    dataset: str = "fashion_mnist"
    """fashion_mnist, mnist, cifar10, cifar100, or the path of a folder or tar archive of pictures"""
    data_dir: Path | None = None
    """folder with the IDX files of fashion_mnist or mnist; by default they are looked for, then downloaded"""
    seed: int = 0
    """of the split, for a folder without a test part: the one it was trained with"""
    results_root: Path = Path("results")
    """folder of the report and the confusion matrix"""


def main(argv=None):
    config = tyro.cli(EvaluateConfig, args=argv, prog="python -m training.evaluate", use_underscores=True)
    import_tensorflow()
    with exit_with_a_sentence():
        version = newest_version(config.path)
        predict, shape = load_classifier(version)
        data = datasets.load(config.dataset, data_dir=config.data_dir, image_size=shape[0], seed=config.seed)
        require_fit(version, shape, data)
        report = score(predict, data)
        print(as_text(report))
        print(f"Report: {write(report, config.results_root / f'{version.parent.name}-{version.name}-{data.name}')}")


def newest_version(path):
    """`path` itself where it is a SavedModel, else the highest version below it.

    Raises:
        InputError: there is neither.
    """
    if (path / "saved_model.pb").is_file():
        return path
    versions = [child for child in path.glob("*") if child.name.isdecimal() and (child / "saved_model.pb").is_file()]
    if not versions:
        raise InputError(
            f"{path} is no SavedModel and has no versions below it; expected a folder such as models/NAME."
        )
    return max(versions, key=lambda child: int(child.name))


def load_classifier(version, batch_size=500):
    """(images uint8 [N, H, W, C] to probabilities [N, K], (H, W, C)) of the SavedModel in `version`.

    Raises:
        InputError: it has no signature from images to probabilities.
    """
    import tensorflow as tf

    signature = tf.saved_model.load(version).signatures.get("serving_default")
    spec = signature and signature.structured_input_signature[1].get("images")
    if spec is None or "probabilities" not in signature.structured_outputs:
        raise InputError(f"{version} has no signature serving_default from images to probabilities.")

    def predict(images):
        batches = [images[at : at + batch_size] for at in range(0, len(images), batch_size)]
        return np.concatenate([signature(images=tf.constant(batch))["probabilities"] for batch in batches])

    return predict, tuple(spec.shape[1:])


def require_fit(version, shape, data):
    if shape != data.image_shape:
        raise InputError(f"{version} takes images {shape}, and those of {data.name} are {data.image_shape}.")


def score(predict, data):
    """Everything that is measured, in types that JSON has."""
    probabilities = predict(data.test.images)
    if probabilities.shape[1] != data.num_classes:
        raise InputError(f"The model has {probabilities.shape[1]} classes and {data.name} has {data.num_classes}.")
    confusion = metrics.confusion_matrix(probabilities, data.test.labels)
    rows = zip(data.class_names, metrics.class_rows(confusion), strict=True)
    shifts = metrics.shift_rows(predict, data.test, probabilities.argmax(axis=1))
    return {
        "dataset": data.name,
        "accuracy": as_dict(metrics.accuracy(probabilities, data.test.labels)),
        "calibration_error": metrics.calibration_error(probabilities, data.test.labels),
        "classes": [
            {"name": name, "images": images, "recall": recall and recall.share, "precision": precision}
            for name, (images, recall, precision) in rows
        ],
        "shifts": [{"pixels": row.pixels, "accuracy": row.accuracy.share, "same": row.same} for row in shifts],
        "confusion": confusion.tolist(),
    }


def as_dict(accuracy):
    low, high = accuracy.interval
    return {"share": accuracy.share, "low": low, "high": high, "correct": accuracy.correct, "images": accuracy.total}


def as_text(report):
    accuracy = metrics.Accuracy(report["accuracy"]["correct"], report["accuracy"]["images"])
    width = max(len(row["name"]) for row in report["classes"])
    lines = [
        f"Accuracy on {report['dataset']}: {accuracy}",
        f"Expected calibration error: {report['calibration_error']:.4f}",
        "",
        f"{'class':{width}}  images  recall  precision",
    ]
    for row in report["classes"]:
        lines.append(
            f"{row['name']:{width}}  {row['images']:6,}  {percent(row['recall'])}  {percent(row['precision'])}"
        )
    lines += ["", "shifted by  accuracy  same prediction"]
    for row in report["shifts"]:
        lines.append(f"{row['pixels']:>7} px    {row['accuracy']:.2%}  {row['same']:15.2%}")
    return "\n".join(lines)


def percent(share):
    return "     -" if share is None else f"{share:6.1%}"


def write(report, folder):
    """`folder` with report.json and confusion.png."""
    from training.plots import plot_confusion

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    names = [row["name"] for row in report["classes"]]
    plot_confusion(folder / "confusion.png", np.array(report["confusion"]), names)
    return folder


if __name__ == "__main__":
    main()
