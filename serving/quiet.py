"""TensorFlow without what its import leaves: notes on every start, and work for every garbage collection."""

import contextlib
import gc
import importlib
import logging
import os
import sys
from collections.abc import Iterator


def import_tensorflow(*modules: str) -> None:
    """Imports TensorFlow and `modules`. What C++ says meanwhile on oneDNN and absent CUDA libraries goes nowhere, and
    so do notes from then on about functions of its version 1, which we call on purpose."""
    has_gpu = os.path.exists("/dev/nvidiactl")  # without one, TensorFlow calls that an error later on
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if has_gpu else "3")
    gc.disable()
    with _stderr_to_nowhere():
        import tensorflow  # noqa: F401

        for module in modules:
            importlib.import_module(module)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # What TensorFlow's import makes is never garbage, and every collection would look at all of it: 200 to 500 ms in
    # which no request is answered, and a load of 0.57 s where it takes 0.11 (All-CNN-C at width 1/3 on TensorFlow).
    # The server's modules would add 10 ms to the collection after every unload, which takes 1.
    gc.freeze()
    gc.enable()


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
