"""SavedModels run by TensorFlow as TensorFlow Serving runs them: `Session::Run` on the version 1 graph.

One path for TF1 and TF2 SavedModels, so that feeds, fetches, tables, assets, initialisers, variables and messages
come out as they do there. The session is TensorFlow's own (`serving.tensorflow_session`), not Python's, which would
cast feeds, check shapes that the kernels may well take, and rewrite the messages.
"""

import contextlib
import ctypes
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving.codec_grpc import to_array
from serving.errors import Code, ServingError
from serving.graph_state import has_convolutions, has_variables, stateful_signatures
from serving.servable import EngineOptions
from serving.signature import Arrays, Signature, TensorSpec, shape_text
from serving.tensor_types import BY_NUMBER
from serving.tensorflow_session import GraphSession


class TensorFlowServable:
    """A `serving.servable.Servable` that runs every signature in one session.

    Args:
        optimize: as in `GraphSession.load`.
    """

    def __init__(
        self, path: pathlib.Path, tags: Sequence[str], options: EngineOptions, *, optimize: bool = True
    ) -> None:
        self.graph_session, meta_graph = GraphSession.load(path, tags, options, optimize=optimize)
        try:
            refuse_half_copied(path, meta_graph)
            self._describe(meta_graph)
        except BaseException:  # a signature of tensors that the graph lacks, for one
            self.graph_session.close()
            raise

    def _describe(self, meta_graph: Any) -> None:
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
        fetches = [definition.outputs[name].name for name in outputs]
        values = self.graph_session.run(feeds, fetches, deadline_s, keeps_state=signature_name in self.stateful)
        return dict(zip(outputs, values, strict=True))

    def close(self) -> None:
        self.graph_session.close()
        trim()


def refuse_half_copied(path: pathlib.Path, meta_graph: Any) -> None:
    """TensorFlow loads a SavedModel without the file of its variables, and has them uninitialised for ever.

    Raises:
        ServingError: FAILED_PRECONDITION where there are variables to restore, and nothing to restore them from.
    """
    index = path / "variables" / "variables.index"
    if meta_graph.saver_def.restore_op_name and has_variables(meta_graph.graph_def) and not index.exists():
        raise ServingError(
            Code.FAILED_PRECONDITION,
            f"The SavedModel in {path} has variables, but no {index.relative_to(path)}. It is tried again once "
            f"the directory changes; rename a directory into place when all of it is there.",
        )


def has_gpu(options: EngineOptions) -> bool:
    with contextlib.closing(GraphSession.of(graph_pb2.GraphDef(), options)) as session:
        return "GPU" in session.devices()


def detached(definition: Any) -> Any:
    """A copy: the original would keep the whole MetaGraphDef in memory."""
    copy = meta_graph_pb2.SignatureDef()
    copy.CopyFrom(definition)
    return copy


def runnable_signatures(definitions: Mapping[str, Any]) -> dict[str, Signature]:
    return {name: signature(found) for name, found in sorted(definitions.items()) if is_runnable(found)}


def is_runnable(definition: Any) -> bool:
    """Whether every input and output is one dense tensor; `__saved_model_init_op`, for one, gives none."""
    infos = [*definition.inputs.values(), *definition.outputs.values()]
    dense = (info.dtype in BY_NUMBER and info.WhichOneof("encoding") == "name" for info in infos)
    return bool(definition.outputs) and all(dense)


def signature(definition: Any) -> Signature:
    return Signature(
        inputs={name: tensor_spec(info) for name, info in definition.inputs.items()},
        outputs={name: tensor_spec(info) for name, info in definition.outputs.items()},
        method_name=definition.method_name,
        defaults={name: to_array(proto, name) for name, proto in definition.defaults.items()},
    )


def tensor_spec(info: Any) -> TensorSpec:
    shape = info.tensor_shape
    dims = None if shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
    return TensorSpec(BY_NUMBER[info.dtype].dtype, dims)


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


def trim() -> None:
    """Hands free heap pages back to the system, where the C library (glibc) knows how."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
