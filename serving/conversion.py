"""What is made of a loaded SavedModel so that OpenVINO runs its networks, and TensorFlow the rest.

The variables become constants, the calls are inlined, and each signature is cut into what comes before its network,
the network, and what comes after (`serving.graph_cut`). The network is compiled and checked against TensorFlow. A
signature that cannot be cut, or whose network answers otherwise, stays with TensorFlow whole, and the report says why.

A `Conversion` can be pickled, its compiled networks included: `serving.loader` makes them beside the server.
"""

import contextlib
import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.framework import convert_to_constants
from tensorflow.python.grappler import tf_optimizer

from serving import tables
from serving.engine_check import UnequalError, check
from serving.graph import Graph
from serving.graph_cut import cut
from serving.graph_nodes import NotCutError
from serving.graph_state import node_of, sharing_signatures
from serving.network import Network
from serving.parts import Conversion, Cut, Part
from serving.servable import EngineOptions
from serving.tensorflow_engine import TensorFlowServable
from serving.tensorflow_session import GraphSession

log = logging.getLogger(__name__)

MUST_COMPILE = "_XlaMustCompile"  # the attribute of jit_compile=True
LACKS_TENSORS = "tensorflow: it names tensors that the graph does not have, so that no call of it can succeed"


class Variables(NamedTuple):
    """What TensorFlow's converter wants of a Python session."""

    session: GraphSession

    def run(self, tensors: Sequence[str]) -> list[np.ndarray]:
        return self.session.run({}, tensors)


def unconverted(servable: TensorFlowServable) -> Conversion:
    """The one that leaves every signature to TensorFlow."""
    return Conversion(servable.signature_defs, servable.stateful, servable.engine_report, {})


def convert(servable: TensorFlowServable, options: EngineOptions) -> Conversion:
    """A part for each signature that can have one, and for every signature the engine and the reason."""
    try:
        return converted(servable, options)
    except Exception as error:  # whatever it is, TensorFlow can run the model
        log.error("A conversion for OpenVINO failed; TensorFlow runs the model.", exc_info=error)
        report = f"tensorflow: its conversion for OpenVINO failed: {first_line(error)}"
        return unconverted(servable)._replace(engine_report=dict.fromkeys(servable.signatures, report))


def converted(servable: TensorFlowServable, options: EngineOptions) -> Conversion:
    whole = servable.graph_session.graph_def()
    report = kept_whole(servable, whole)
    parts: dict[str, Part] = {}
    names = [name for name in servable.signatures if name not in report]
    try:
        reference = frozen_graph(servable, names, whole) if names else graph_pb2.GraphDef()
        graph = frozen_graph(servable, names, without_xla(whole)) if uses_xla(whole) and names else reference
    except Exception as error:  # the converters raise whatever they meet
        reason = f"tensorflow: its variables cannot be made constants: {first_line(error)}"
        report |= dict.fromkeys(names, reason)
    else:
        known = Graph(graph, tables.read(servable.graph_session, graph))
        cuts, refused = cut_each(servable.signature_defs, names, known, reference)
        parts, compiled = compile_each(cuts, reference, options)
        report |= refused | compiled
    ordered = {name: report[name] for name in servable.signatures}
    return Conversion(servable.signature_defs, servable.stateful, ordered, parts)


def kept_whole(servable: TensorFlowServable, whole: graph_pb2.GraphDef) -> dict[str, str]:
    """The signatures that name what is not there, that write variables, and that read what these may write, each with
    its report."""
    wrong = dict.fromkeys(filter(functools.partial(lacks_tensors, servable), servable.signatures), LACKS_TENSORS)
    if not servable.stateful:
        return wrong
    sharing = sharing_signatures(whole, servable.signatures, servable.signature_defs, servable.stateful)
    return {
        **wrong,
        **dict.fromkeys(servable.stateful, "tensorflow: it keeps state"),
        **dict.fromkeys(sharing, "tensorflow: another signature may write its variables or tables"),
    }


def lacks_tensors(servable: TensorFlowServable, name: str) -> bool:
    definition = servable.signature_defs[name]
    tensors = (info.name for info in (*definition.inputs.values(), *definition.outputs.values()))
    return not all(map(servable.graph_session.has, tensors))


def frozen_graph(servable: TensorFlowServable, names: Sequence[str], whole: graph_pb2.GraphDef) -> graph_pb2.GraphDef:
    """`whole` as the signatures `names` need it, with the calls inlined and constants for variables.

    In this order: TensorFlow's optimizer takes 15 s to inline the calls of VGG-16 around its 550 MB of constants, and
    60 ms without them.

    Raises whatever the converters raise, for one where a signature writes a variable.
    """
    definitions = [servable.signature_defs[name] for name in names]
    tensors = [info.name for definition in definitions for info in definition.outputs.values()]
    session = servable.graph_session
    meta_graph = meta_graph_pb2.MetaGraphDef(graph_def=whole)
    meta_graph.collection_def["train_op"].node_list.value.extend(tensors)
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.min_graph_nodes = -1
    config.graph_options.rewrite_options.optimizers.append("function")
    inlined = tf_optimizer.OptimizeGraph(config, meta_graph)
    return convert_to_constants.convert_variables_to_constants_from_session_graph(
        Variables(session), inlined, sorted({node_of(tensor) for tensor in tensors})
    )


def uses_xla(graph: graph_pb2.GraphDef) -> bool:
    return any(MUST_COMPILE in function.attr for function in graph.library.function)


def without_xla(graph: graph_pb2.GraphDef) -> graph_pb2.GraphDef:
    """`graph` with calls to be inlined that were for XLA: Keras leaves grouped convolutions to it, which TensorFlow has
    no other kernel for on a processor, and OpenVINO has."""
    free = graph_pb2.GraphDef()
    free.CopyFrom(graph)
    functions = free.library.function
    for holder in (*functions, *free.node, *(node for function in functions for node in function.node_def)):
        for name in (MUST_COMPILE, "_noinline"):
            holder.attr.pop(name, None)
    return free


def cut_each(
    definitions: Mapping[str, Any], names: Sequence[str], graph: Graph, reference: graph_pb2.GraphDef
) -> tuple[dict[str, Cut], dict[str, str]]:
    """The signatures that can be cut, and the report on those that cannot.

    Args:
        reference: `graph` with calls that are for XLA: what is in there alone TensorFlow cannot run.
    """
    cuts, refused = {}, {}
    known = {node.name for node in reference.node}
    for name in names:
        outputs = {key: info.name for key, info in definitions[name].outputs.items()}
        try:
            found = cut(graph, [info.name for info in definitions[name].inputs.values()], outputs)
        except NotCutError as error:
            refused[name] = f"tensorflow: {error}"
            continue
        outside = {*map(node_of, found.feeds + found.fetches), *(node.name for node in found.rest.node)}
        if outside & graph.nodes.keys() <= known:
            cuts[name] = found
        else:
            refused[name] = "tensorflow: what XLA compiles of it is not all in its network"
    return cuts, refused


def compile_each(
    cuts: Mapping[str, Cut], graph: graph_pb2.GraphDef, options: EngineOptions
) -> tuple[dict[str, Part], dict[str, str]]:
    """The parts of the signatures whose networks answer as `graph` does on TensorFlow, and the report on all."""
    networks: dict[Any, tuple[Network | None, str]] = {}
    parts, report = {}, {}
    with contextlib.closing(GraphSession.of(graph, options)) as reference:
        for name, found in cuts.items():
            # Equal networks are shared where they are fed in equal shapes: that for images of any size is another.
            key = found.key, *map(reference.shape, found.feeds)
            if key not in networks:
                networks[key] = checked_network(found, reference, options)
            network, report[name] = networks[key]
            if network is not None:
                parts[name] = Part(found._replace(network=graph_pb2.GraphDef()), network)
    return parts, report


def checked_network(found: Cut, reference: GraphSession, options: EngineOptions) -> tuple[Network | None, str]:
    """The compiled network and how near it is to TensorFlow; no network where it is not near, and why."""
    for node, tensor in zip(found.network.node, found.feeds, strict=False):
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(reference.shape(tensor)).as_proto())
    try:
        network = Network.of(found.network, options)
        largest = check(
            network, lambda arrays: reference.run(dict(zip(found.feeds, arrays, strict=True)), found.fetches)
        )
    except UnequalError as error:
        return None, f"tensorflow: {error}"
    except Exception as error:  # OpenVINO raises RuntimeError; whatever it is, TensorFlow can run the signature
        return None, f"tensorflow: OpenVINO cannot compile or run it: {first_line(error)}"
    how = "openvino in bfloat16" if network.precision == "bf16" else "openvino"
    return network, f"{how}: within {largest:.0e} of TensorFlow on random and extreme inputs"


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
