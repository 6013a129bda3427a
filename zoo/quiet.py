"""Keeps quiet what a library's C++ prints while it is imported: no environment variable silences all of TensorFlow."""

import contextlib
import os
import sys


@contextlib.contextmanager
def stderr_to_nowhere():
    """Within it, nothing that this process writes to standard error is seen."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
