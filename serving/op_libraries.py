"""Operations beside TensorFlow's own, out of shared libraries.

TensorFlow Serving's binary has those of tensorflow-text built in; here they come with that package where it is
installed. Anyone else's are named by --op_libraries.
"""

import ctypes
import functools
import importlib.util
import logging
from collections.abc import Iterable
from pathlib import Path

from serving import tensorflow_c as c
from serving.errors import ServingError

PACKAGE = "tensorflow_text"
UNKNOWN = "Op type not registered"  # what TensorFlow says
HINT = (
    " The operations of tensorflow-text are there once it is installed in a version made for this TensorFlow; those "
    "of other libraries once their shared objects are named: --op_libraries=path.so"
)

log = logging.getLogger(__name__)


def load_all(libraries: Iterable[str]) -> None:
    """Adds the operations of the shared objects `libraries`, and of tensorflow-text, to this process, for good.

    Raises:
        ServingError: one of `libraries` cannot be loaded.
    """
    for path in libraries:
        load(path)
    load_installed()


@functools.cache
def load(path: str) -> None:
    # Maps are shared with TensorFlow, and their hashes start from an address: both must mean the one in its library.
    ctypes.CDLL(c.LIBRARY, mode=ctypes.RTLD_GLOBAL)
    try:
        with c.checked_status() as status:
            c.load_library(path.encode(), status)
    except ServingError as error:
        raise ServingError(error.code, f"The library of operations {path} cannot be loaded: {error.message}") from error


@functools.cache
def load_installed() -> None:
    """tensorflow-text's, 0.1 s and 110 MB, without an import of its Python; one for another TensorFlow is told."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = (spec and spec.submodule_search_locations) or ()
    try:
        for path in sorted(path for folder in folders for path in Path(folder).glob("python/*/_*.so")):
            load(str(path))
    except ServingError as error:
        log.warning("%s Models with operations of tensorflow-text will not load.", error.message)
