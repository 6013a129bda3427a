"""TensorFlow without what its import leaves: notes on every start, work for every garbage collection, and in a server
the import itself."""

import contextlib
import gc
import importlib.util
import logging
import os
import sys
import threading
import types
from collections.abc import Iterator

_protos = types.ModuleType("tensorflow")
_putting_back = threading.Lock()


def leave_out_tensorflow() -> None:
    """Makes `tensorflow` a package of its protos alone, until `put_tensorflow_back`. A server runs TensorFlow's library
    (`serving.tensorflow_c`) and needs none of its Python, which takes 2.4 s and 220 MB."""
    if "tensorflow" not in sys.modules and (spec := importlib.util.find_spec("tensorflow")):
        _protos.__spec__, _protos.__path__ = spec, list(spec.submodule_search_locations or ())
        sys.modules["tensorflow"] = _protos


def put_tensorflow_back() -> None:
    """Undoes `leave_out_tensorflow` and imports TensorFlow, with its notes: what a server says must not go nowhere."""
    with _putting_back:
        if sys.modules.get("tensorflow") is _protos:
            del sys.modules["tensorflow"]
            import tensorflow  # noqa: F401

            gc.freeze()


def import_tensorflow() -> None:
    """Imports TensorFlow; its notes from then on about functions of its version 1, which we call on purpose, go
    nowhere."""
    import_quietly("tensorflow")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def import_quietly(*modules: str) -> None:
    """Imports `modules`; what TensorFlow's library says meanwhile on oneDNN and absent CUDA libraries goes nowhere."""
    has_gpu = os.path.exists("/dev/nvidiactl")  # without one, TensorFlow calls that an error later on
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if has_gpu else "3")
    gc.disable()
    with _stderr_to_nowhere():
        for module in modules:
            importlib.import_module(module)
    # What imports make is never garbage, and every collection would look at all of it: of TensorFlow's 200 to 500 ms
    # in which no request is answered, and a load of 0.57 s where it takes 0.11 (All-CNN-C at width 1/3 on TensorFlow).
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
