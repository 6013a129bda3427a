"""Nodes and tensors of a GraphDef: names, dtypes, and what can be reached from where."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import op_def_registry


class NotCutError(Exception):
    """Why TensorFlow has to run the signature as a whole; the message is part of a log line."""


def split(tensor: str) -> tuple[str, int]:
    name, _, port = tensor.partition(":")
    return name, int(port or 0)


def unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def reach(seeds: Iterable[str], users: Mapping[str, Sequence[str]]) -> set[str]:
    """`seeds` and all that use them, directly or not."""
    found, stack = set(), list(seeds)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(users[name])
    return found


@functools.cache
def op_def(op: str) -> Any:
    found = op_def_registry.get(op)
    if found is None:
        raise NotCutError(f"the op {op} is not known here")
    return found


def output_dtypes(node: Any) -> list[tf.DType]:
    return argument_dtypes(node, op_def(node.op).output_arg)


def dtypes(node: Any) -> set[tf.DType]:
    definition = op_def(node.op)
    return {*argument_dtypes(node, definition.input_arg), *argument_dtypes(node, definition.output_arg)}


def argument_dtypes(node: Any, arguments: Iterable[Any]) -> list[tf.DType]:
    found = []
    for argument in arguments:
        if argument.type_list_attr:
            enums = list(node.attr[argument.type_list_attr].list.type)
        else:
            enums = [argument.type or node.attr[argument.type_attr].type]
            if argument.number_attr:
                enums *= node.attr[argument.number_attr].i
        found += [tf.as_dtype(enum) for enum in enums]
    return found
