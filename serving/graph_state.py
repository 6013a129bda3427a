"""What a SavedModel's graph does besides computing, read from its nodes and the functions that they call."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

CONVOLUTIONS = {"Conv2D", "Conv3D", "DepthwiseConv2dNative"}
WRITERS = (
    *("Assign", "Scatter", "ResourceScatter", "ResourceApply", "ResourceSparseApply", "Apply", "SparseApply"),
    *("LookupTableInsert", "LookupTableRemove", "LookupTableImport", "Queue", "Stack", "Barrier"),
    *("WriteFile", "Print", "PyFunc", "EagerPyFunc", "PyFuncStateless", "Iterator"),
)

VARIABLES = ("VarHandleOp", "Variable")
KEEPERS = (*VARIABLES, "HashTable")


def stateful_signatures(graph: Any, names: Iterable[str], definitions: Mapping[str, Any]) -> frozenset[str]:
    """Those of `names` that need an op which writes, in the GraphDef or in a function it calls."""
    nodes = {node.name: node for node in graph.node}
    functions = {function.signature.name: function.node_def for function in graph.library.function}

    def writes(name: str) -> bool:
        outputs = [node_of(info.name) for info in definitions[name].outputs.values()]
        return any(node.op.startswith(WRITERS) for node in needed(outputs, nodes, functions))

    return frozenset(name for name in names if writes(name))


def sharing_signatures(
    graph: Any, names: Iterable[str], definitions: Mapping[str, Any], stateful: frozenset[str]
) -> frozenset[str]:
    """Those of `names` that read a variable or table which a `stateful` signature holds too, and may write."""
    nodes = {node.name: node for node in graph.node}

    def kept(name: str) -> set[str]:
        outputs = [node_of(info.name) for info in definitions[name].outputs.values()]
        return {node.name for node in needed(outputs, nodes, {}) if node.op.startswith(KEEPERS)}

    written = set().union(*map(kept, stateful))
    return frozenset(name for name in names if name not in stateful and written & kept(name))


def has_variables(graph: Any) -> bool:
    return any(node.op.startswith(VARIABLES) for node in graph.node)


def has_convolutions(graph: Any) -> bool:
    functions = (function.node_def for function in graph.library.function)
    return any(node.op in CONVOLUTIONS for nodes in (graph.node, *functions) for node in nodes)


def needed(names: Iterable[str], nodes: Mapping[str, Any], functions: Mapping[str, Iterable[Any]]) -> Iterator[Any]:
    """Every node behind `names`, and every node of the functions called there."""
    stack, seen = list(names), set(names)
    called: set[str] = set()
    while stack:
        node = nodes.get(stack.pop())
        if node is None:  # a signature may name what is not there
            continue
        yield from with_called(node, functions, called)
        sources = [node_of(tensor) for tensor in node.input]
        stack += [name for name in sources if name not in seen]
        seen.update(sources)


def with_called(node: Any, functions: Mapping[str, Iterable[Any]], called: set[str]) -> Iterator[Any]:
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        for value in node.attr.values():
            for name in (value.func.name, *(func.name for func in value.list.func)):
                if name in functions and name not in called:
                    called.add(name)
                    stack += functions[name]


def node_of(tensor: str) -> str:
    """The node that gives a tensor, or that an input such as "^node" waits for."""
    return tensor.lstrip("^").partition(":")[0]
