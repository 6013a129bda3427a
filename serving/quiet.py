"""TensorFlow's import without the notes that it prints on every start and no environment variable silences."""

import contextlib
import os
import sys
from collections.abc import Iterator


def import_tensorflow() -> None:
    """Imports TensorFlow; what its C++ says meanwhile on oneDNN and absent CUDA libraries goes nowhere."""
    has_gpu = os.path.exists("/dev/nvidiactl")  # without one, TensorFlow calls that an error later on
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if has_gpu else "3")
    with _stderr_to_nowhere():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def _stderr_to_nowhere() -> Iterator[None]:
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
