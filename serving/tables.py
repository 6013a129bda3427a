"""Lookup tables of a graph that is cut: read where the SavedModel was loaded, filled again where its parts run.

A SavedModel fills its tables by an initialiser, which may read files of its own. Where only a part of the graph runs,
what the tables hold goes with that part. No other tables than those that nothing can write to later can go.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2

from serving.errors import ServingError
from serving.tensorflow_session import READY, GraphSession

TABLE = "HashTableV2"
MOST_KEYS = 2**21  # what is larger stays where it is
READS = {"LookupTableFindV2", "LookupTableSizeV2", "WordpieceTokenizeWithOffsets"}  # the last is tensorflow-text's


class Content(NamedTuple):
    """A table's keys and values, as many of one as of the other; strings are objects."""

    keys: np.ndarray
    values: np.ndarray


def read(session: GraphSession, graph: graph_pb2.GraphDef) -> dict[str, Content]:
    """What the tables of `graph` hold in the session of the SavedModel, by node; those that can be read."""
    found = {}
    for table in graph.node:
        if table.op == TABLE and session.has(table.name):
            size = node_def_pb2.NodeDef(name=own(table, "size"), op="LookupTableSizeV2", input=[table.name])
            export = node_def_pb2.NodeDef(name=own(table, "export"), op="LookupTableExportV2", input=[table.name])
            export.attr["Tkeys"].CopyFrom(table.attr["key_dtype"])
            export.attr["Tvalues"].CopyFrom(table.attr["value_dtype"])
            try:
                # TensorFlow fills no table with nothing.
                if 0 < session.run_node(size, outputs=1)[0] <= MOST_KEYS:
                    keys, values = session.run_node(export, outputs=2)
                    order = np.argsort(keys)  # equal tables give theirs in orders of their own
                    found[table.name] = Content(keys[order], values[order])
            except ServingError:  # nothing has filled it
                continue
    return found


def own(table: node_def_pb2.NodeDef, name: str) -> str:
    """The name of a node about `table` that no model has."""
    return f"convzoo/{table.name}/{name}"


def fill(graph: graph_pb2.GraphDef, contents: Mapping[str, Content]) -> None:
    """Adds READY to `graph`, for the session to wait for, where it has tables."""
    tables = [node for node in graph.node if node.op == TABLE]
    for table in tables:
        load = node_def_pb2.NodeDef(name=own(table, "import"), op="LookupTableImportV2", input=[table.name])
        load.attr["Tin"].CopyFrom(table.attr["key_dtype"])
        load.attr["Tout"].CopyFrom(table.attr["value_dtype"])
        for name, array in contents[table.name]._asdict().items():
            load.input.append(add_constant(graph, own(table, name), array))
        graph.node.append(load)
    if tables:
        add_constant(graph, READY, np.array(True), waits=[f"^{own(table, 'import')}" for table in tables])


def add_constant(graph: graph_pb2.GraphDef, name: str, array: np.ndarray, waits: Sequence[str] = ()) -> str:
    node = graph.node.add(name=name, op="Const", input=waits)
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(array))
    node.attr["dtype"].type = node.attr["value"].tensor.dtype
    return name
