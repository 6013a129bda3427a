"""The whole state of a training in one file, written whole or not at all.

Keras's BackupAndRestore leaves out the state of every SeedGenerator (dropout), without which a continued training
differs from one that never stopped; here each variable of the model and its optimizer is saved.
"""

import contextlib
import os
import sys
import zipfile
from typing import NamedTuple

import numpy as np

KEPT = 2  # a newest file that turns out damaged falls back to the one before


class Progress(NamedTuple):
    """How far a training is: steps done, seconds spent, and the best validation accuracy so far."""

    step: int = 0
    seconds: float = 0.0
    best: float = -1.0


def save(folder, model, progress):
    """Writes `state-<step>.npz`; the newest KEPT are kept.

    Raises:
        OSError: it could not be written (a full disk); the files before it are left as they were.
    """
    arrays = {str(at): np.asarray(variable) for at, variable in enumerate(variables(model))}
    path = folder / f"state-{progress.step:09}.npz"
    with written_whole(path) as file:
        np.savez(file, progress=np.array(progress, "float64"), **arrays)
    for old in sorted(folder.glob("state-*.npz"))[:-KEPT]:
        old.unlink()


def restore(folder, model):
    """Sets `model` and its optimizer to the newest whole state in `folder`: its Progress, or a new one.

    What cannot be read is set aside as `unread-state-<step>.npz`, out of the way of new states of fewer steps.
    """
    paths = sorted(folder.glob("state-*.npz"))
    while paths:
        path = paths.pop()
        try:
            with open(path, "rb") as opened, np.load(opened) as file:
                arrays = {name: file[name] for name in file.files}  # reads all, so that a damaged one changes nothing
            progress = Progress(*arrays.pop("progress").tolist())
            set_variables(model, [arrays[str(at)] for at in range(len(arrays))])
        except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
            now = "going back to the state before it" if paths else "training starts anew"
            print(f"{path} cannot be read ({error}); {now}.", file=sys.stderr)
            with contextlib.suppress(OSError):  # another process of the same training has done it
                path.rename(path.with_name(f"unread-{path.name}"))
            continue
        return progress._replace(step=int(progress.step))
    return Progress()


def set_variables(model, arrays):
    """Assigns all or none.

    Raises:
        ValueError: the arrays are another model's.
    """
    targets = variables(model)
    shapes = [tuple(variable.shape) for variable in targets]
    if shapes != [array.shape for array in arrays]:
        raise ValueError(f"it holds {len(arrays)} arrays that are not the shapes of {model.name}'s {len(shapes)}")
    for variable, array in zip(targets, arrays, strict=True):
        variable.assign(array)


def variables(model):
    """Every variable that training changes: weights, statistics, seeds, and the optimizer's."""
    return [*model.variables, *model.optimizer.variables]


def clear(folder):
    """Removes the states: the training is finished, and the same command line starts a new one."""
    for path in folder.glob("*state-*.npz"):
        path.unlink()


@contextlib.contextmanager
def written_whole(path):
    """A file to write to that becomes `path` when all is on the disk, and leaves nothing behind when it fails."""
    scratch = path.with_name(f"{path.name}.unfinished")
    try:
        with open(scratch, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def save_model(path, model):
    """Writes a .keras file for `keras.saving.load_model`; whole or not at all.

    Not .weights.h5: HDF5 ends the process when the disk is full, where Keras's zip raises an OSError.
    """
    scratch = path.with_name(f"unfinished-{path.name}")  # Keras wants the name to end in .keras
    try:
        model.save(scratch)
        with open(scratch, "rb") as file:
            os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
