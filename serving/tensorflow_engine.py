"""SavedModels run by TensorFlow as TensorFlow Serving runs them: `Session::Run` on the version 1 graph.

One path for TF1 and TF2 SavedModels, so that feeds, fetches, tables, assets, initialisers, variables and messages
come out as they do there. The session is called below `Session.run`, which casts feeds and rewrites messages.
"""

import ctypes
import functools
import gc
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.python.client import pywrap_tf_session

from serving.errors import Code, ServingError
from serving.servable import EngineOptions
from serving.signature import Arrays, Signature, TensorSpec

CODES = {code.grpc: code for code in Code}


class TensorFlowServable:
    """A `serving.servable.Servable` that runs every signature in one `tf.compat.v1.Session`."""

    def __init__(self, path: pathlib.Path, tags: Sequence[str], options: EngineOptions) -> None:
        if not any((path / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")):
            raise ServingError(
                Code.NOT_FOUND, f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}"
            )
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=session_config(options))
        try:
            with graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(self._session, list(tags), str(path))
        except Exception as error:
            self.close()
            raise load_error(path, tags, error) from error
        self.signature_defs: Mapping[str, Any] = dict(meta_graph.signature_def)
        self.signatures: Mapping[str, Signature] = {
            name: signature(definition) for name, definition in self.signature_defs.items() if is_runnable(definition)
        }
        self.engine_report: Mapping[str, str] = dict.fromkeys(self.signatures, "tensorflow")
        self._graph = graph
        self._plan = functools.lru_cache(maxsize=256)(self._new_plan)

    def run(
        self, signature_name: str, inputs: Arrays, outputs: Sequence[str], deadline_s: float | None = None
    ) -> Arrays:
        specs = self.signatures[signature_name].inputs
        check_ranks(specs, inputs)
        feeds, fetches = self._plan(signature_name, tuple(outputs))
        feed = {tensor: inputs[name] for name, tensor in feeds}
        values = run_session(self._session, feed, fetches, deadline_s)
        return {
            name: array(value, self.signatures[signature_name].outputs[name].dtype)
            for name, value in zip(outputs, values, strict=True)
        }

    def close(self) -> None:
        self._session.close()
        del self._session, self._graph, self._plan
        gc.collect()
        return_freed_memory()

    def _new_plan(self, signature_name: str, outputs: tuple[str, ...]) -> tuple[list[tuple[str, Any]], list[Any]]:
        definition = self.signature_defs[signature_name]

        def tensor(info: Any) -> Any:
            return self._graph.get_tensor_by_name(info.name)._as_tf_output()

        feeds = [(name, tensor(info)) for name, info in definition.inputs.items()]
        return feeds, [tensor(definition.outputs[name]) for name in outputs]


def session_config(options: EngineOptions) -> tf.compat.v1.ConfigProto:
    threads = options.tensorflow_session_parallelism
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=options.tensorflow_intra_op_parallelism or threads,
        inter_op_parallelism_threads=options.tensorflow_inter_op_parallelism or threads,
    )
    config.gpu_options.per_process_gpu_memory_fraction = options.per_process_gpu_memory_fraction
    return config


def is_runnable(definition: Any) -> bool:
    """Whether every input and output is one dense tensor; `__saved_model_init_op`, for one, gives none."""
    infos = [*definition.inputs.values(), *definition.outputs.values()]
    return bool(definition.outputs) and all(info.dtype and info.WhichOneof("encoding") == "name" for info in infos)


def signature(definition: Any) -> Signature:
    return Signature(
        inputs={name: tensor_spec(info) for name, info in definition.inputs.items()},
        outputs={name: tensor_spec(info) for name, info in definition.outputs.items()},
        method_name=definition.method_name,
        defaults={name: tf.make_ndarray(proto) for name, proto in definition.defaults.items()},
    )


def tensor_spec(info: Any) -> TensorSpec:
    shape = info.tensor_shape
    dims = None if shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
    return TensorSpec(np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype), dims)


def check_ranks(specs: Mapping[str, TensorSpec], inputs: Arrays) -> None:
    """Refuses an image without its batch dimension and the like: TensorFlow's oneDNN Conv2D aborts the process.

    Other shapes are left to the kernels, which refuse in words; so are ranks below 3, where models may broadcast.
    """
    for name, spec in specs.items():
        if spec.shape is not None and len(spec.shape) > 2 and inputs[name].ndim != len(spec.shape):
            sent = ",".join(map(str, inputs[name].shape))
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"input must be {len(spec.shape)}-dimensional[{sent}]. "
                f'Input "{name}" expects the shape {shape_text(spec.shape)}.',
            )


def shape_text(shape: Sequence[int | None]) -> str:
    return "[" + ",".join("N" if dim is None else str(dim) for dim in shape) + "]"


def run_session(session: Any, feed: Mapping[Any, np.ndarray], fetches: Sequence[Any], deadline_s: float | None) -> Any:
    if deadline_s is None:
        options = None
    else:
        left_ms = int((deadline_s - time.monotonic()) * 1000)
        if left_ms <= 0:
            raise ServingError(Code.DEADLINE_EXCEEDED, "The deadline passed before the model could run.")
        options = tf.compat.v1.RunOptions(timeout_in_ms=left_ms).SerializeToString()
    buffer = options and pywrap_tf_session.TF_NewBufferFromString(options)
    try:
        return session._call_tf_sessionrun(buffer, feed, fetches, [], None)
    except tf.errors.OpError as error:
        raise ServingError(CODES.get(error.error_code, Code.UNKNOWN), error.message) from error
    finally:
        if buffer:
            pywrap_tf_session.TF_DeleteBuffer(buffer)


def array(value: Any, dtype: np.dtype) -> np.ndarray:
    """A fetched value as an array: the session gives string scalars as bare `bytes`."""
    return value if isinstance(value, np.ndarray) else np.array(value, dtype)


def load_error(path: pathlib.Path, tags: Sequence[str], error: Exception) -> ServingError:
    """The refusal for what TensorFlow's loader raised, with the code that TensorFlow Serving's status would show."""
    if isinstance(error, tf.errors.OpError):
        return ServingError(CODES.get(error.error_code, Code.UNKNOWN), error.message)
    if isinstance(error, RuntimeError) and "tags" in str(error):
        wanted = " ".join(tags)
        return ServingError(
            Code.NOT_FOUND, f"Could not find meta graph def matching supplied tags: {{ {wanted} }} in {path}. {error}"
        )
    if isinstance(error, (OSError, DecodeError)):
        return ServingError(Code.DATA_LOSS, f"The SavedModel in {path} cannot be read: {error}")
    if "not registered" in str(error) or "No op named" in str(error):
        return ServingError(Code.NOT_FOUND, f"The SavedModel in {path} needs an op that is not here: {error}")
    return ServingError(Code.INTERNAL, f"The SavedModel in {path} cannot be loaded: {error}")


def return_freed_memory() -> None:
    """Hands free heap pages back to the system, where the C library (glibc) knows how."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
