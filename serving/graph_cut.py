"""Cuts a signature's graph in three: what comes before the network, the network, and what comes after it.

A signature that takes JPEG bytes and gives class names is a decoder, a network and a lookup. Only the network is
worth a faster engine, and only TensorFlow can run the rest. The network is the part that computes numbers from numbers
without order, strings or state, and has the convolutions and matrix products in it; all else is TensorFlow's.
"""

from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf

from serving import tables
from serving.graph import IDENTITIES, Graph
from serving.graph_nodes import NotCutError, dtypes, op_def, output_dtypes, reach, unique
from serving.graph_state import node_of
from serving.parts import Cut

PRODUCTS = {
    *("Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3DBackpropInputV2"),
    *("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"),
}
PLACEHOLDERS = {"Placeholder", "PlaceholderWithDefault"}
CONTROL_FLOW = {
    *("Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond", "RefSwitch", "RefMerge", "RefEnter", "RefExit"),
    *("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase", "PartitionedCall"),
}
# Equal scores may be ordered otherwise by another engine, so TensorFlow orders them.
ORDERING = {"TopK", "TopKV2", "ArgMax", "ArgMin", "Where", "Unique", "UniqueV2", "NonMaxSuppressionV3"}
ASSERTION = "Assert"
CHECKS = {ASSERTION, "EnsureShape", "CheckNumerics", "CheckNumericsV2"}  # which OpenVINO passes over
FOREIGN_OPS = CHECKS | PLACEHOLDERS | CONTROL_FLOW | ORDERING
FOREIGN_TYPES = {tf.string, tf.variant, tf.resource, tf.float64, tf.complex64, tf.complex128, tf.uint32, tf.uint64}
# Of indices outside OpenVINO makes an answer, TensorFlow a refusal; integers OpenVINO divides as floats.
LOOKUPS = {"Gather", "GatherV2", "GatherNd"}
INTEGERS = {tf.int16, tf.uint16, tf.int32, tf.int64}
SHAPES = {"Shape", "ShapeN", "Size", "Rank"}
LAYOUTS = {
    *("Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "Transpose", "ConcatV2", "Pack", "Unpack", "Split"),
    *("Slice", "StridedSlice", "Tile", "BroadcastTo", "Cast", "Select", "SelectV2", "Pad", "PadV2", "StopGradient"),
}
FED_TYPES = {tf.bool, tf.uint8, tf.int8, tf.int16, tf.uint16, tf.int32, tf.float32}
# Of dense layers where TensorFlow has work too: with 70,000 two engines take 0.9 to 1.3 times as long as TensorFlow
# alone, with a million 0.6 to 0.95 times.
LEAST_WEIGHTS = 2**18
MOST_REST_BYTES = 2**28  # what TensorFlow runs beside the network it holds three times over


def cut(graph: Graph, inputs: Iterable[str], outputs: Mapping[str, str]) -> Cut:
    """The three parts of the function from `inputs` (tensor names) to `outputs` (names to tensor names).

    Raises:
        NotCutError: it keeps state, there is no network in it, or the network cannot be told from the rest.
    """
    sources = {name: graph.source(tensor) for name, tensor in outputs.items()}
    live = graph.ancestors(map(node_of, outputs.values()))
    refuse_state(graph, live)
    fed = set(map(node_of, inputs))
    stray = [name for name in live if graph.nodes[name].op in PLACEHOLDERS and name not in fed]
    if stray:
        raise NotCutError(f"it needs {stray[0]}, which is not one of its inputs")
    before, network, after = parts(graph, live)
    feeds = unique(t for name in live if name in network for t in graph.inputs(name) if node_of(t) in before)
    fetches = unique(
        [
            *(t for name in live if name in after for t in floats_from(graph, name, network)),
            *(t for t in sources.values() if node_of(t) in network),
        ]
    )
    refuse_types(graph, fetches)
    carried = [t for name in live if name in after for t in graph.inputs(name) if node_of(t) in before]
    carried += [t for t in sources.values() if node_of(t) in before]
    first = unique(t for t in [*feeds, *carried] if node_of(t) not in fed)
    assertions = [name for name in live if graph.nodes[name].op == ASSERTION and name in before]
    for tensor in outputs.values():
        if not set(assertions) <= set(graph.ancestors([node_of(tensor)])):
            raise NotCutError("an assertion is behind some of its outputs alone")
    if (first or after or assertions) and is_small(graph, network):
        raise NotCutError("its network is too small to be worth a second engine")
    rest = graph.without(fetches, [*feeds, *carried, *sources.values()], before | after, assertions)
    if rest.ByteSize() > MOST_REST_BYTES:
        raise NotCutError(f"what is not its network has {rest.ByteSize() / 1e6:,.0f} MB of constants")
    return Cut(
        network=graph.between(feeds, fetches),
        key=graph.key(feeds, fetches),
        feeds=tuple(feeds),
        fetches=tuple(fetches),
        rest=rest,
        before=tuple(first),
        assertions=tuple(assertions),
        after=sources,
    )


def parts(graph: Graph, live: Sequence[str]) -> tuple[set[str], set[str], set[str]]:
    """The nodes before the network, in it and after it; constants belong to none, since each part can have its own."""
    users = graph.users(live)
    looped = in_loops(graph, live, users)
    foreign = {name for name in live if is_foreign(graph, name) or name in looped}
    varying = reach((name for name in live if graph.nodes[name].op in PLACEHOLDERS), users)
    varying = {name for name in varying if graph.nodes[name].op != "Const"}
    products = [name for name in live if graph.nodes[name].op in PRODUCTS and name in varying - looped]
    after = reach(reach((user for name in products for user in users[name]), users) & foreign, users)
    before = set(graph.ancestors(foreign & varying - after)) & varying
    exact = exact_nodes(graph, varying - before - after, users, live)
    identities = {name for name in varying if graph.nodes[name].op in IDENTITIES}
    before |= needed_before(graph, varying - before - after - identities, before, exact, products)
    if any(graph.nodes[name].op == ASSERTION for name in after):
        raise NotCutError("it asserts something of what its network gives")
    network = varying - before - after - identities
    if network.isdisjoint(products):
        raise NotCutError("there is no convolution or matrix product outside loops in it")
    return before, network, after


def needed_before(
    graph: Graph, network: set[str], before: set[str], exact: Iterable[str], products: Iterable[str]
) -> set[str]:
    """The nodes of `network` that TensorFlow runs before it: `exact`, and those between `before` and types that
    OpenVINO takes as TensorFlow does; rows of a table of words, looked up by int64, are float32.

    Raises:
        NotCutError: a product would be among them.
    """
    moved = network.intersection(graph.ancestors(exact))
    if not moved.isdisjoint(products):
        raise NotCutError("it computes with integers, or looks up by them, behind its network")
    while True:
        feeds = {t: name for name in network - moved for t in graph.inputs(name) if node_of(t) in before | moved}
        wrong = [tensor for tensor in feeds if graph.dtype(tensor) not in FED_TYPES]
        if not wrong:
            return moved
        moved |= network.intersection(graph.ancestors(feeds[tensor] for tensor in wrong))
        if not moved.isdisjoint(products):
            raise NotCutError(f"OpenVINO does not take {graph.dtype(wrong[0]).name} as TensorFlow does")


def in_loops(graph: Graph, live: Sequence[str], users: Mapping[str, Sequence[str]]) -> set[str]:
    """The nodes of the loops' bodies, from a loop's Enter to its Exit: a decoder may have products of its own."""
    until_exit = {name: [] if graph.nodes[name].op in ("Exit", "RefExit") else users[name] for name in live}
    return reach((name for name in live if graph.nodes[name].op in ("Enter", "RefEnter")), until_exit)


def refuse_state(graph: Graph, live: Iterable[str]) -> None:
    for name in live:
        op = graph.nodes[name].op
        if name in graph.tables or op in tables.READS or op == ASSERTION:
            continue
        if op_def(op).is_stateful or op.startswith(("Assign", "Scatter")):
            raise NotCutError(f"{op} keeps state")


def refuse_types(graph: Graph, fetches: Iterable[str]) -> None:
    for tensor in fetches:
        if graph.dtype(tensor) != tf.float32:
            raise NotCutError(f"its network gives {graph.dtype(tensor).name}, not float32")


def is_foreign(graph: Graph, name: str) -> bool:
    """Whether only TensorFlow may run the node."""
    node = graph.nodes[name]
    return node.op in FOREIGN_OPS or not FOREIGN_TYPES.isdisjoint(dtypes(node))


def exact_nodes(graph: Graph, network: set[str], users: Mapping[str, Sequence[str]], live: Iterable[str]) -> list[str]:
    """The nodes of `network` that compute with integers, or look up by them, which come of more than shapes."""
    onward = {name: [] if graph.nodes[name].op in SHAPES else users[name] for name in users}
    valued = reach((name for name in live if graph.nodes[name].op in PLACEHOLDERS), onward)
    valued = {name for name in valued if graph.nodes[name].op not in SHAPES}

    def is_exact(name: str) -> bool:
        node = graph.nodes[name]
        if node.op in LOOKUPS:
            return node_of(graph.inputs(name)[1]) in valued
        return node.op not in LAYOUTS and not INTEGERS.isdisjoint(output_dtypes(node))

    return [name for name in network & valued if is_exact(name)]


def is_small(graph: Graph, network: Iterable[str]) -> bool:
    """Whether its only products are dense layers, of few weights in all."""
    products = [name for name in network if graph.nodes[name].op in PRODUCTS]
    weights = [graph.nodes[node_of(t)] for name in products for t in graph.inputs(name)]
    sizes = [
        tf.TensorShape(node.attr["value"].tensor.tensor_shape).num_elements() for node in weights if node.op == "Const"
    ]
    return all(graph.nodes[name].op == "MatMul" for name in products) and sum(sizes) < LEAST_WEIGHTS


def floats_from(graph: Graph, name: str, network: set[str]) -> list[str]:
    """The nearest float32 tensors of the network from which the node can be computed."""
    found, stack, seen = [], [name], {name}
    while stack:
        for tensor in graph.inputs(stack.pop()):
            source = node_of(tensor)
            if source not in network:
                continue
            if graph.dtype(tensor) == tf.float32:
                found.append(tensor)
            elif source not in seen:
                seen.add(source)
                stack.append(source)
    return found
