"""Operations beside TensorFlow's own, out of shared libraries.

TensorFlow Serving's binary has those of tensorflow-text built in; here they come with that package, once a model wants
an operation that is not there. Anyone else's are named by --op_libraries.
"""

import ctypes
import functools
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tensorflow.core.framework import op_def_pb2

from serving import tensorflow_c as c
from serving.errors import ServingError

UNKNOWN = "Op type not registered"  # what TensorFlow says
PACKAGE = "tensorflow_text"
HINT = (
    "The operations of tensorflow-text are there once it is installed in a version made for the TensorFlow here; those "
    "of other libraries once their shared objects are named: --op_libraries=path.so"
)
Result = TypeVar("Result")


def with_operations(libraries: Sequence[str], attempt: Callable[[], Result]) -> Result:
    """The result of `attempt`, which is made again with the operations of tensorflow-text where it lacks one.

    Args:
        libraries: paths of shared objects to load before.

    Raises:
        ServingError: what `attempt` raises, or a library cannot be loaded.
    """
    for path in libraries:
        load(path)
    try:
        return attempt()
    except ServingError as error:
        if UNKNOWN not in error.message:
            raise
    for found in installed():
        load(found)
    try:
        return attempt()
    except ServingError as error:
        if UNKNOWN not in error.message:
            raise
        raise ServingError(error.code, f"{error.message} {HINT}") from error


def complete(graph: Any) -> None:
    """Loads the operations of tensorflow-text if one of the GraphDef's functions is not there: TensorFlow itself looks
    for those in loops and branches at the first run.

    Raises:
        ServingError: a library cannot be loaded.
    """
    found = installed()
    if not found:
        return
    functions = graph.library.function
    named = {node.op for function in functions for node in function.node_def}
    if named - {function.signature.name for function in functions} - registered():
        for path in found:
            load(path)


def registered() -> set[str]:
    buffer = c.all_ops()
    try:
        return {op.name for op in op_def_pb2.OpList.FromString(buffer.contents.bytes()).op}
    finally:
        c.delete_buffer(buffer)


@functools.cache
def load(path: str) -> None:
    """Adds the operations of the shared object to this process, for good."""
    # Maps are shared with TensorFlow, and their hashes start from an address: both must mean the one in its library.
    ctypes.CDLL(c.LIBRARY, mode=ctypes.RTLD_GLOBAL)
    try:
        with c.checked_status() as status:
            c.load_library(path.encode(), status)
    except ServingError as error:
        raise ServingError(error.code, f"The library of operations {path} cannot be loaded: {error.message}") from error


def installed() -> list[str]:
    """The shared objects of tensorflow-text, found without an import of it."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = (spec and spec.submodule_search_locations) or ()
    return sorted(str(path) for folder in folders for path in Path(folder).glob("python/*/_*.so"))
