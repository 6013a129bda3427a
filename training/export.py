"""A model into the next version directory of a served model: whole or not at all.

models/<name>/<version>/saved_model.pb, variables/, assets/labels.txt, assets.extra/tf_serving_warmup_requests,
                        model_card.json
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import keras

from training.errors import InputError
from training.signatures import signatures
from training.warmup import write_warmup_requests


def export(model, models_root, name, *, class_names, card, sliding=None):
    """Writes the classifier `model` as the next version of `name` and returns the version's directory.

    Args:
        model: images uint8 [N, H, W, C] to probabilities float32 [N, num_classes], with the zoo's names of layers.
        models_root: the folder of all served models.
        class_names: one for each class, in the order of the probabilities.
        card: what model_card.json says, ready for JSON.
        sliding: the model as `zoo.convolutionize` gives it, where it can; then there is a signature `dense`.
    """
    return export_signatures(signatures(model, class_names, sliding), models_root, name, class_names, card)


def export_signatures(rows, models_root, name, class_names, card):
    """Writes the signatures `rows` as the next version of `name` and returns the version's directory.

    The directory appears complete or not at all, since a server may be watching; when another process publishes at
    the same time each gets a version of its own. Without `class_names` it has no labels.txt.
    """
    home = Path(models_root) / name
    home.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=home, prefix="unpublished-"))  # no integer, so no server takes it for a version
    try:
        write_version(scratch, name, rows, class_names, card)
        scratch.chmod(0o755)  # mkdtemp's own 0700 would keep out a server that runs as another user
        return publish(scratch, home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_version(folder, name, rows, class_names, card):
    archive = keras.export.ExportArchive()
    for row in rows:
        archive.track(row.model)
        archive.add_endpoint(row.name, row.function, row.inputs)
    archive.write_out(str(folder), verbose=False)
    (folder / "assets").mkdir(exist_ok=True)
    if class_names:
        lines = "".join(f"{each}\n" for each in class_names)
        (folder / "assets" / "labels.txt").write_text(lines, encoding="utf-8")
    write_warmup_requests(folder / "assets.extra" / "tf_serving_warmup_requests", name, rows)
    (folder / "model_card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def publish(scratch, home):
    """Renames `scratch` to the first version above all those in `home` that nobody else has taken meanwhile."""
    version = next_version(home)
    while True:
        try:
            os.rename(scratch, home / str(version))
            return home / str(version)
        except OSError:
            if not (home / str(version)).exists():
                raise
            version += 1


def require_kin(home, class_names, what):
    """Told before hours of work: a running server gives the model's clients the next version as soon as it is there.

    Args:
        home: folder of the model's versions.
        class_names: of the next one; () of a network that makes images.
        what: dataset or network, for the sentence.

    Raises:
        InputError: the newest version in `home` tells apart other classes, none of them among `class_names`.
    """
    newest = home / str(next_version(home) - 1) if home.is_dir() else None
    if newest is None:
        return
    labels = newest / "assets" / "labels.txt"
    if not (labels.is_file() or (newest / "model_card.json").is_file()):
        return
    known = labels.read_text("utf-8").splitlines() if labels.is_file() else []
    told = f"{newest} knows {listed(known)}; {what} has {listed(class_names)}."
    if (known or class_names) and not set(known) & set(class_names):
        raise InputError(
            f"{told} A server would give the one's clients the other's answers: give the new model a name of its own "
            "with --name (NAME=... to make)."
        )
    if set(known) != set(class_names):
        print(f"{told} A running server will go over to the new ones; --name would keep the two apart.")


def listed(names):
    if not names:
        return "no classes"
    return "the classes " + ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def next_version(home):
    return max((int(path.name) for path in home.iterdir() if path.name.isdecimal()), default=0) + 1
