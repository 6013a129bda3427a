"""SavedModels run by TensorFlow as TensorFlow Serving runs them: `Session::Run` on the version 1 graph.

One path for TF1 and TF2 SavedModels, so that feeds, fetches, tables, assets, initialisers, variables and messages
come out as they do there. The session is called below `Session.run`, which would cast feeds, check shapes that the
kernels may well take, and rewrite the messages.
"""

import ctypes
import gc
import pathlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, rewriter_config_pb2
from tensorflow.python.client import pywrap_tf_session

from serving.errors import Code, ServingError
from serving.graph_state import has_convolutions, stateful_signatures
from serving.servable import EngineOptions
from serving.signature import Arrays, Signature, TensorSpec

CODES = {code.grpc: code for code in Code}


class GraphSession:
    """A graph and its session: `run` takes and gives arrays by tensor name ("node:0"), from any thread.

    Args:
        optimize: whether TensorFlow may rewrite the graph at the first run of each set of feeds and fetches.
    """

    def __init__(self, options: EngineOptions, *, optimize: bool = True) -> None:
        config = session_config(options)
        config.graph_options.rewrite_options.disable_meta_optimizer = not optimize
        self.graph = tf.Graph()
        self.session = tf.compat.v1.Session(graph=self.graph, config=config)
        self._tensors: dict[str, Any] = {}

    @classmethod
    def of(cls, graph: Any, options: EngineOptions) -> "GraphSession":
        """A session on a GraphDef that needs no initialisation, run as it is: the first run of a decoder of images
        takes 6 ms of a core then, and 31 rewritten; the second 0.5 either way."""
        made = cls(options, optimize=False)
        with made.graph.as_default():
            tf.graph_util.import_graph_def(graph, name="")
        return made

    def has(self, name: str) -> bool:
        """Whether the tensor is in the graph."""
        if name not in self._tensors:
            try:
                self._tensor(name)
            except KeyError:
                return False
        return True

    def run(
        self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str], deadline_s: float | None = None
    ) -> list[np.ndarray]:
        """Raises ServingError with TensorFlow's own code and message, or DEADLINE_EXCEEDED."""
        feed = {self._tensor(name): value for name, value in feeds.items()}
        fetch = [self._tensor(name) for name in fetches]
        left_ms = check_deadline(deadline_s)
        buffer = None if left_ms is None else timeout_options(left_ms)
        try:
            values = self.session._call_tf_sessionrun(buffer, feed, fetch, [], None)
        except tf.errors.OpError as error:
            raise ServingError(CODES.get(error.error_code, Code.UNKNOWN), error.message) from error
        finally:
            if buffer is not None:
                pywrap_tf_session.TF_DeleteBuffer(buffer)
        # The session gives scalars bare: numpy's own, and bytes for strings.
        return [np.array(value, object) if isinstance(value, bytes) else np.asarray(value) for value in values]

    def close(self) -> None:
        self.session.close()
        del self.session, self.graph
        self._tensors.clear()

    def _tensor(self, name: str) -> Any:
        found = self._tensors.get(name)
        if found is None:
            found = self._tensors[name] = self.graph.get_tensor_by_name(name)._as_tf_output()
        return found


class TensorFlowServable:
    """A `serving.servable.Servable` that runs every signature in one session."""

    def __init__(self, path: pathlib.Path, tags: Sequence[str], options: EngineOptions) -> None:
        if not any((path / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")):
            raise ServingError(
                Code.NOT_FOUND, f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}"
            )
        self.graph_session = GraphSession(options)
        try:
            with self.graph_session.graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(self.graph_session.session, list(tags), str(path))
        except Exception as error:
            self.close()
            raise load_error(path, tags, error) from error
        self.signature_defs: Mapping[str, Any] = {
            name: detached(definition) for name, definition in meta_graph.signature_def.items()
        }
        self.signatures: Mapping[str, Signature] = runnable_signatures(self.signature_defs)
        self.engine_report: Mapping[str, str] = dict.fromkeys(self.signatures, "tensorflow")
        self.stateful = stateful_signatures(meta_graph.graph_def, self.signatures, self.signature_defs)
        self._has_convolutions = has_convolutions(meta_graph.graph_def)

    def run(
        self, signature_name: str, inputs: Arrays, outputs: Sequence[str], deadline_s: float | None = None
    ) -> Arrays:
        definition = self.signature_defs[signature_name]
        if self._has_convolutions:
            check_ranks(self.signatures[signature_name].inputs, inputs)
        feeds = {definition.inputs[name].name: value for name, value in inputs.items()}
        values = self.graph_session.run(feeds, [definition.outputs[name].name for name in outputs], deadline_s)
        return dict(zip(outputs, values, strict=True))

    def close(self) -> None:
        self.graph_session.close()
        gc.collect()  # a graph is full of cycles
        trim()


def has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def session_config(options: EngineOptions) -> tf.compat.v1.ConfigProto:
    config = tf.compat.v1.ConfigProto.FromString(options.session_config)
    if options.tensorflow_intra_op_parallelism:
        config.intra_op_parallelism_threads = options.tensorflow_intra_op_parallelism
    if options.tensorflow_inter_op_parallelism:
        config.inter_op_parallelism_threads = options.tensorflow_inter_op_parallelism
    if options.per_process_gpu_memory_fraction:
        config.gpu_options.per_process_gpu_memory_fraction = options.per_process_gpu_memory_fraction
    if options.mixed_precision == "bfloat16":
        rewriting = config.graph_options.rewrite_options
        rewriting.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    return config


def check_deadline(deadline_s: float | None) -> int | None:
    """The whole milliseconds left, None for ever; raises ServingError: DEADLINE_EXCEEDED where none is left."""
    if deadline_s is None:
        return None
    left_ms = int((deadline_s - time.monotonic()) * 1000)
    if left_ms <= 0:
        raise ServingError(Code.DEADLINE_EXCEEDED, "The deadline passed before the model could run.")
    return left_ms


def timeout_options(timeout_ms: int) -> Any:
    """RunOptions in a buffer of TensorFlow's, which the caller deletes."""
    options = tf.compat.v1.RunOptions(timeout_in_ms=timeout_ms)
    return pywrap_tf_session.TF_NewBufferFromString(options.SerializeToString())


def detached(definition: Any) -> Any:
    """A copy: the original would keep the whole MetaGraphDef in memory."""
    copy = meta_graph_pb2.SignatureDef()
    copy.CopyFrom(definition)
    return copy


def runnable_signatures(definitions: Mapping[str, Any]) -> dict[str, Signature]:
    return {name: signature(definition) for name, definition in definitions.items() if is_runnable(definition)}


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
    """Refuses an image without its batch dimension and the like.

    TensorFlow Serving leaves shapes to the kernels, which refuse in words; but TensorFlow's oneDNN convolutions abort
    the process at a wrong rank ("Check failed: index >= 0", seen with 2.21), so ranks are held where there are any.
    """
    for name, spec in specs.items():
        if spec.shape is not None and name in inputs and inputs[name].ndim != len(spec.shape):
            sent = ",".join(map(str, inputs[name].shape))
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"input must be {len(spec.shape)}-dimensional[{sent}]. "
                f'Input "{name}" expects the shape {shape_text(spec.shape)}.',
            )


def shape_text(shape: Iterable[int | None]) -> str:
    return "[" + ",".join("N" if dim is None else str(dim) for dim in shape) + "]"


def load_error(path: pathlib.Path, tags: Sequence[str], error: Exception) -> ServingError:
    """The refusal for what TensorFlow's loader raised, with the code that TensorFlow Serving's status would show."""
    if isinstance(error, tf.errors.OpError):
        return ServingError(CODES.get(error.error_code, Code.UNKNOWN), error.message)
    if isinstance(error, RuntimeError) and "tags" in str(error):
        wanted = " ".join(tags)
        return ServingError(
            Code.NOT_FOUND, f"Could not find meta graph def matching supplied tags: {{ {wanted} }} in {path}. {error}"
        )
    if isinstance(error, OSError | DecodeError):
        return ServingError(Code.DATA_LOSS, f"The SavedModel in {path} cannot be read: {error}")
    if "not registered" in str(error) or "No op named" in str(error):
        return ServingError(Code.NOT_FOUND, f"The SavedModel in {path} needs an op that is not here: {error}")
    return ServingError(Code.INTERNAL, f"The SavedModel in {path} cannot be loaded: {error}")


def trim() -> None:
    """Hands free heap pages back to the system, where the C library (glibc) knows how."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
