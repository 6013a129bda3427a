"""The fast engine for networks on a processor: OpenVINO where it answers as TensorFlow does, TensorFlow elsewhere.

The variables of the loaded SavedModel become constants, the calls are inlined, and each signature is cut into what
comes before its network, the network, and what comes after (`serving.graph_cut`). OpenVINO runs the network, checked
at load against TensorFlow; TensorFlow runs the rest. A signature that cannot be cut, or whose network answers
otherwise, stays with TensorFlow whole, and `engine_report` says why. Once no signature needs them, TensorFlow's
variables are given back.
"""

import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import openvino
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.framework import convert_to_constants
from tensorflow.python.grappler import tf_optimizer

from serving.engine_check import UnequalError, check
from serving.errors import Code, ServingError
from serving.graph_cut import Cut, Graph, cut
from serving.graph_nodes import NotCutError, node_of
from serving.graph_state import sharing_signatures
from serving.servable import EngineOptions, batches_at_a_time
from serving.signature import Arrays, Signature
from serving.tensorflow_engine import GraphSession, TensorFlowServable, check_deadline, return_freed_memory, shape_text

# Batches are padded up to one of these, so that OpenVINO prepares and keeps few shapes; more rows run in turns, since
# larger batches gain nothing: 32 rows of All-CNN-C in turns of 8, 16 and 32 take 23.0, 22.9 and 23.5 ms at width 1,
# and 2.93, 2.84 and 2.80 ms at width 1/3.
BATCH_SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)


class Network:
    """A compiled network: `run` takes and gives arrays by position, from any thread."""

    def __init__(self, graph: graph_pb2.GraphDef, options: EngineOptions) -> None:
        core = openvino.Core()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "network.pb")
            path.write_bytes(graph.SerializeToString())
            model = core.read_model(path)
        threads = options.tensorflow_intra_op_parallelism
        settings = {
            "NUM_STREAMS": batches_at_a_time(),
            "ENABLE_CPU_PINNING": False,  # our own threads use the processors too: 6% more calls a second
            # Its default on processors with AVX512_BF16 is bfloat16, which changes answers.
            "INFERENCE_PRECISION_HINT": "f32",
            **({"INFERENCE_NUM_THREADS": threads} if threads else {}),
        }
        self._compiled = core.compile_model(model, "CPU", settings)
        self._inputs = [self._compiled.input(f"input_{i}:0") for i in range(len(model.inputs))]
        self._outputs = [self._compiled.output(f"output_{i}:0") for i in range(len(model.outputs))]
        self.shapes = [dims(port) for port in self._inputs]
        self.dtypes = [port.element_type.to_dtype() for port in self._inputs]
        every = [*self.shapes, *(dims(port) for port in self._outputs)]
        self.is_batched = all(shape and shape[0] is None for shape in every)
        self._idle: list[Any] = []

    def run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Raises ServingError: INVALID_ARGUMENT where the shapes do not fit."""
        for array, shape in zip(arrays, self.shapes, strict=True):
            check_shape(array, shape)
        if not self.is_batched:
            return self._infer(arrays, None)
        rows = len(arrays[0])
        if any(len(array) != rows for array in arrays):
            raise ServingError(Code.INVALID_ARGUMENT, "The inputs must have equal 0th-dimension size.")
        most = BATCH_SIZES[-1]
        if rows <= most:
            return self._infer(arrays, rows)
        turns = [self._infer([a[i : i + most] for a in arrays], min(most, rows - i)) for i in range(0, rows, most)]
        return [np.concatenate(parts) for parts in zip(*turns, strict=True)]

    def _infer(self, arrays: Sequence[np.ndarray], rows: int | None) -> list[np.ndarray]:
        size = None if rows is None else next(size for size in BATCH_SIZES if size >= rows)
        # OpenVINO reads only memory that it might write.
        fed = [
            np.require(array, requirements=("C", "W")) if size in (None, len(array)) else padded(array, size)
            for array in arrays
        ]
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            for port, array in zip(self._inputs, fed, strict=True):
                request.set_tensor(port, openvino.Tensor(array, shared_memory=True))
            request.infer(share_inputs=True)
            return [request.get_tensor(port).data[:rows].copy() for port in self._outputs]
        except RuntimeError as error:
            raise ServingError(Code.INVALID_ARGUMENT, f"OpenVINO refused the input: {error}") from error
        finally:
            self._idle.append(request)


class Plan(NamedTuple):
    """How a signature is run: what comes before the network, the network, what comes after it."""

    cut: Cut
    network: Network
    rest: GraphSession | None
    feeds: Mapping[str, str]

    def run(self, inputs: Arrays, outputs: Sequence[str], deadline_s: float | None) -> Arrays:
        """`inputs` and the result by the signature's names; `feeds` are the tensors that stand for the inputs."""
        values = {self.feeds[name]: array for name, array in inputs.items()}
        if self.cut.before:
            values.update(self._run_rest(values, self.cut.before, deadline_s))
        check_deadline(deadline_s)
        found = self.network.run([values[tensor] for tensor in self.cut.feeds])
        values.update(zip(self.cut.fetches, found, strict=True))
        wanted = {name: self.cut.after[name] for name in outputs}
        missing = [tensor for tensor in wanted.values() if tensor not in values]
        if missing:
            stand_ins = {f"output_{i}:0": array for i, array in enumerate(found)}
            carried = {tensor: values[tensor] for tensor in [*self.feeds.values(), *self.cut.before]}
            values.update(self._run_rest({**carried, **stand_ins}, missing, deadline_s))
        return {name: values[tensor] for name, tensor in wanted.items()}

    def _run_rest(self, values: Arrays, fetches: Sequence[str], deadline_s: float | None) -> Arrays:
        if self.rest is None:
            raise ServingError(Code.INTERNAL, "A part of the signature is missing.")
        known = {tensor: array for tensor, array in values.items() if self.rest.has(tensor)}
        return dict(zip(fetches, self.rest.run(known, fetches, deadline_s), strict=True))


class OpenVinoServable:
    """A `serving.servable.Servable`: networks on OpenVINO, the rest on TensorFlow."""

    def __init__(self, servable: TensorFlowServable, options: EngineOptions) -> None:
        self.signatures: Mapping[str, Signature] = servable.signatures
        self.signature_defs: Mapping[str, Any] = servable.signature_defs
        self.stateful: frozenset[str] = servable.stateful
        self._plans, self.engine_report = convert(servable, options)
        self._tensorflow: TensorFlowServable | None = servable
        if self._plans.keys() == self.signatures.keys():
            servable.close()
            self._tensorflow = None

    def run(
        self, signature_name: str, inputs: Arrays, outputs: Sequence[str], deadline_s: float | None = None
    ) -> Arrays:
        plan = self._plans.get(signature_name)
        if plan is not None:
            return plan.run(inputs, outputs, deadline_s)
        if self._tensorflow is None:
            raise ServingError(Code.NOT_FOUND, f'Serving signature key "{signature_name}" not found.')
        return self._tensorflow.run(signature_name, inputs, outputs, deadline_s)

    def close(self) -> None:
        for plan in self._plans.values():
            if plan.rest is not None:
                plan.rest.close()
        self._plans.clear()
        if self._tensorflow is not None:
            self._tensorflow.close()
        return_freed_memory()


def convert(servable: TensorFlowServable, options: EngineOptions) -> tuple[dict[str, Plan], dict[str, str]]:
    """A plan for each signature that can have one, and for every signature the engine and the reason."""
    sharing: frozenset[str] = frozenset()
    if servable.stateful:
        whole = servable.graph_session.graph.as_graph_def()
        sharing = sharing_signatures(whole, servable.signatures, servable.signature_defs, servable.stateful)
    report = dict.fromkeys(servable.stateful, "tensorflow: it keeps state")
    report |= dict.fromkeys(sharing, "tensorflow: another signature may write its variables")
    names = [name for name in servable.signatures if name not in report]
    if not names:
        return {}, report
    try:
        frozen = frozen_graph(servable, names)
    except Exception as error:  # the converters raise whatever they meet
        reason = f"tensorflow: its variables cannot be made constants: {first_line(error)}"
        return {}, report | dict.fromkeys(names, reason)
    graph = Graph(frozen)
    cuts: dict[str, Cut] = {}
    for name in names:
        definition = servable.signature_defs[name]
        outputs = {key: info.name for key, info in definition.outputs.items()}
        try:
            cuts[name] = cut(graph, [info.name for info in definition.inputs.values()], outputs)
        except NotCutError as error:
            report[name] = f"tensorflow: {error}"
    reference = GraphSession.of(frozen, options)
    networks: dict[Any, tuple[Network | None, str]] = {}
    plans = {}
    for name, found in cuts.items():
        # Equal networks are shared where they are fed in equal shapes: one for images of any size is compiled apart.
        key = found.key, *(str(reference.graph.get_tensor_by_name(tensor).shape) for tensor in found.feeds)
        if key not in networks:
            networks[key] = checked_network(found, reference, options)
        network, report[name] = networks[key]
        if network is not None:
            feeds = {key: info.name for key, info in servable.signature_defs[name].inputs.items()}
            plans[name] = Plan(found, network, rest_session(found, options), feeds)
    reference.close()
    return plans, {name: report[name] for name in servable.signatures}


def frozen_graph(servable: TensorFlowServable, names: Sequence[str]) -> graph_pb2.GraphDef:
    """The graph of the signatures `names` with constants for variables and the calls inlined.

    Raises whatever the converters raise, for one where a signature writes a variable.
    """
    definitions = [servable.signature_defs[name] for name in names]
    tensors = [info.name for definition in definitions for info in definition.outputs.values()]
    session = servable.graph_session
    constants = convert_to_constants.convert_variables_to_constants_from_session_graph(
        session.session, session.graph.as_graph_def(), sorted({node_of(tensor) for tensor in tensors})
    )
    meta_graph = meta_graph_pb2.MetaGraphDef(graph_def=constants)
    meta_graph.collection_def["train_op"].node_list.value.extend(tensors)
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.min_graph_nodes = -1
    config.graph_options.rewrite_options.optimizers.append("function")
    return tf_optimizer.OptimizeGraph(config, meta_graph)


def rest_session(found: Cut, options: EngineOptions) -> GraphSession | None:
    if not found.before and set(found.after.values()) <= set(found.fetches):
        return None
    return GraphSession.of(found.rest, options)


def checked_network(found: Cut, reference: GraphSession, options: EngineOptions) -> tuple[Network | None, str]:
    """The compiled network and how near it is to TensorFlow; no network where it is not near, and why."""
    for node, tensor in zip(found.network.node, found.feeds, strict=False):
        node.attr["shape"].shape.CopyFrom(reference.graph.get_tensor_by_name(tensor).shape.as_proto())
    try:
        network = Network(found.network, options)
        largest = check(
            network, lambda arrays: reference.run(dict(zip(found.feeds, arrays, strict=True)), found.fetches)
        )
    except UnequalError as error:
        return None, f"tensorflow: {error}"
    except RuntimeError as error:
        return None, f"tensorflow: OpenVINO cannot compile it: {first_line(error)}"
    return network, f"openvino: within {largest:.0e} of TensorFlow on random and extreme inputs"


def dims(port: Any) -> tuple[int | None, ...] | None:
    shape = port.partial_shape
    if shape.rank.is_dynamic:
        return None
    return tuple(None if dim.is_dynamic else dim.get_length() for dim in shape)


def padded(array: np.ndarray, rows: int) -> np.ndarray:
    """`array` with rows of zeros after its own."""
    longer = np.zeros((rows, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer


def check_shape(array: np.ndarray, shape: Sequence[int | None] | None) -> None:
    if shape is None:
        return
    if array.ndim != len(shape) or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True)):
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"An input of the shape {shape_text(array.shape)} was sent; the network takes {shape_text(shape)}.",
        )


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
