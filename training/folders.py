"""Folders that programs write to."""

import contextlib
import fcntl
import os
import shutil
import tempfile

from training.errors import InputError


def require_writable(*folders):
    """Each can be written to, whether it is there yet or will be made.

    Raises:
        InputError: one cannot; better before hours of work than after.
    """
    for folder in folders:
        try:
            there = next(place for place in (folder, *folder.parents) if place.exists())
            with tempfile.TemporaryFile(dir=there) as file:
                file.write(bytes(4096))
        except OSError as error:
            raise InputError(
                f"Cannot write to {folder} ({error.strerror}). Mend that, or give another folder."
            ) from error


@contextlib.contextmanager
def locked(folder):
    """Keeps other processes out of `folder`; the kernel lets them in when this one ends, however it does.

    Raises:
        InputError: another one is in it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def lock(descriptor, folder):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(
            f"Another command is training in {folder} already. Wait for its end or stop it; for another training "
            "beside it give another --runs_root."
        ) from error
    except OSError:
        pass  # a file system without locks


def empty(folder):
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
