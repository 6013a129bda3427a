"""A frozen graph that can be taken apart: what needs what, and parts of it as graphs of their own."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from serving import tables
from serving.graph_nodes import output_dtypes, split
from serving.graph_state import node_of

SMALL_BYTES = 1024
IDENTITIES = {"Identity", "IdentityN"}


class Graph:
    """A GraphDef without function calls, by name. Identities are looked through wherever tensors are named.

    Args:
        contents: what those tables of it hold whose content is known, by node.
    """

    def __init__(self, graph: graph_pb2.GraphDef, contents: Mapping[str, tables.Content]) -> None:
        self.nodes = {node.name: node for node in graph.node}
        self.versions = graph.versions
        self.library = graph.library
        self.tables = contents

    def source(self, tensor: str) -> str:
        """The tensor that `tensor` is a copy of, written "node:port"."""
        name, port = split(tensor)
        while self.nodes[name].op in IDENTITIES:
            name, port = split(self.nodes[name].input[port])
        return f"{name}:{port}"

    def inputs(self, name: str) -> list[str]:
        return [self.source(tensor) for tensor in self.nodes[name].input if not tensor.startswith("^")]

    def ancestors(self, names: Iterable[str], *, until: Iterable[str] = (), through_controls: bool = True) -> list[str]:
        """`names` and all that they need, inputs first where there is no loop; nothing behind `until`. Where controls
        do not count, identities are looked through."""
        done, order = set(until), []
        stack = [(name, False) for name in names]
        while stack:
            name, is_ready = stack.pop()
            if is_ready:
                order.append(name)
            elif name not in done:
                done.add(name)
                stack.append((name, True))
                inputs = self.nodes[name].input if through_controls else self.inputs(name)
                stack.extend((node_of(tensor), False) for tensor in reversed(inputs))
        return order

    def users(self, live: Iterable[str]) -> dict[str, list[str]]:
        live = list(live)
        found: dict[str, list[str]] = {name: [] for name in live}
        for name in live:
            for tensor in self.nodes[name].input:
                found[node_of(tensor)].append(name)
        return found

    def dtype(self, tensor: str) -> tf.DType:
        name, port = split(tensor)
        return output_dtypes(self.nodes[name])[port]

    def between(self, feeds: Sequence[str], fetches: Sequence[str]) -> graph_pb2.GraphDef:
        """The nodes from `feeds` to `fetches` as a graph of its own, from input_0.. to output_0.."""
        graph = self._pruned(fetches, {tensor: f"input_{i}" for i, tensor in enumerate(feeds)}, set())
        for i, tensor in enumerate(fetches):
            node = graph.node.add(name=f"output_{i}", op="Identity", input=[tensor])
            node.attr["T"].type = self.dtype(tensor).as_datatype_enum
        return graph

    def without(
        self, fetches: Sequence[str], wanted: Sequence[str], controls: set[str], assertions: Sequence[str]
    ) -> graph_pb2.GraphDef:
        """What computes `wanted` and the nodes `assertions`, with placeholders output_0.. where `fetches` were."""
        fed = {tensor: f"output_{i}" for i, tensor in enumerate(fetches)}
        graph = self._pruned([*wanted, *assertions], fed, controls)
        tables.fill(graph, self.tables)
        return graph

    def _pruned(self, wanted: Sequence[str], fed: Mapping[str, str], controls: set[str]) -> graph_pb2.GraphDef:
        """What computes `wanted`, tensors and nodes; `controls` are the nodes worth waiting for: loops need theirs,
        inlined calls leave idle ones."""
        graph = graph_pb2.GraphDef(versions=self.versions, library=self.library)
        for tensor, name in fed.items():
            node = graph.node.add(name=name, op="Placeholder")
            node.attr["dtype"].type = self.dtype(tensor).as_datatype_enum
            node.attr["shape"].shape.unknown_rank = True
        done, stack = set(), [node_of(tensor) for tensor in wanted if tensor not in fed]
        while stack:
            name = stack.pop()
            if name in done:
                continue
            done.add(name)
            node = graph.node.add()
            node.CopyFrom(self.nodes[name])
            del node.input[:]
            node.attr.pop("_class", None)  # colocation with a node that may be gone
            node.ClearField("experimental_debug_info")  # other in each export; equal graphs are to be the same bytes
            for tensor in self.inputs(name):
                node.input.append(fed.get(tensor, tensor))
                if tensor not in fed:
                    stack.append(node_of(tensor))
            waits = [tensor[1:] for tensor in self.nodes[name].input if tensor[0] == "^" and tensor[1:] in controls]
            node.input.extend(f"^{source}" for source in waits)
            stack.extend(waits)
        return graph

    def key(self, feeds: Sequence[str], fetches: Sequence[str]) -> str:
        """A digest of the network's structure; large constants count by name, since signatures share them."""
        digest = hashlib.sha256()
        index = {tensor: f"input_{i}" for i, tensor in enumerate(feeds)}
        order = self.ancestors(map(node_of, fetches), until=map(node_of, feeds), through_controls=False)
        for number, name in enumerate(order):
            node = self.nodes[name]
            tensors = [index[tensor] for tensor in self.inputs(name)]
            large = node.op == "Const" and node.ByteSize() > SMALL_BYTES
            attributes = (
                [name]
                if large
                else [
                    f"{key}={value.SerializeToString(deterministic=True)!r}"
                    for key, value in sorted(node.attr.items())
                    if not key.startswith("_")
                ]
            )
            digest.update(repr((node.op, tensors, attributes)).encode())
            index.update({f"{name}:{port}": f"{number}:{port}" for port in range(len(output_dtypes(node)))})
        digest.update(repr([index[tensor] for tensor in fetches]).encode())
        return digest.hexdigest()
