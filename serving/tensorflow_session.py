"""Graphs that TensorFlow runs: `Session::Run`, as TensorFlow Serving calls it, without holding Python's interpreter."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, rewriter_config_pb2

from serving import tensorflow_c as c
from serving.errors import Code, ServingError
from serving.op_libraries import HINT, UNKNOWN, load_all
from serving.servable import EngineOptions

READY = "convzoo/ready"  # of a GraphDef that has to be initialised: the node to run first


class GraphSession:
    """A graph and its session: `run` takes and gives arrays by tensor name ("node:0"), from any thread."""

    def __init__(self, graph: int, session: int) -> None:
        self._graph, self._session = graph, session
        self._tensors: dict[str, c.Output] = {}

    @classmethod
    def load(
        cls, path: Path, tags: Sequence[str], options: EngineOptions, *, optimize: bool = True
    ) -> tuple["GraphSession", Any]:
        """The session of a SavedModel, restored and initialised, and the MetaGraphDef.

        Args:
            optimize: whether TensorFlow may rewrite the graph at the first run of each set of feeds and fetches, which
                it does for the restoring and the initialisation too: 85 of a load's 110 ms.

        Raises:
            ServingError: with TensorFlow's code and message, which are those that TensorFlow Serving shows.
        """
        load_all(options.op_libraries)
        names = (c.c_char_p * len(tags))(*(tag.encode() for tag in tags))
        graph, buffer = c.new_graph(), c.new_buffer()
        config = session_config(options, optimize=optimize).SerializeToString()
        place = str(path).encode(), names, len(tags), graph, buffer
        try:
            with c.session_options(config) as settings, c.checked_status() as status:
                session = c.load_session(settings, None, *place, status)
            return cls(graph, session), meta_graph_pb2.MetaGraphDef.FromString(buffer.contents.bytes())
        except ServingError as error:
            c.delete_graph(graph)
            if str(path) in error.message:
                raise
            hint = HINT if UNKNOWN in error.message else ""
            message = f"The SavedModel in {path} cannot be loaded: {error.message}{hint}"
            raise ServingError(error.code, message) from error
        finally:
            c.delete_buffer(buffer)

    @classmethod
    def of(cls, graph_def: Any, options: EngineOptions) -> "GraphSession":
        """A session on a GraphDef that is initialised by its node READY, if at all. It is run as it is: the first run
        of a decoder of images takes 6 ms of a core then, and 31 rewritten; the second 0.5 either way."""
        load_all(options.op_libraries)
        config = session_config(options, optimize=False).SerializeToString()
        graph, importing = c.new_graph(), c.new_import_options()
        try:
            with c.buffer_of(graph_def.SerializeToString()) as content, c.checked_status() as status:
                c.import_graph(graph, content, importing, status)
            with c.session_options(config) as settings, c.checked_status() as status:
                made = cls(graph, c.new_session(graph, settings, status))
        except ServingError:
            c.delete_graph(graph)
            raise
        finally:
            c.delete_import_options(importing)
        try:
            if made.has(READY):
                made.run({}, [READY])
            return made
        except ServingError:
            made.close()
            raise

    def graph_def(self) -> Any:
        """The GraphDef."""
        buffer = c.new_buffer()
        try:
            with c.checked_status() as status:
                c.graph_to_graph_def(self._graph, buffer, status)
            return graph_pb2.GraphDef.FromString(buffer.contents.bytes())
        finally:
            c.delete_buffer(buffer)

    def run_node(self, node: Any, outputs: int) -> list[np.ndarray]:
        """The first `outputs` tensors of a node that the graph does not have, whose inputs are tensors that it has.

        Raises:
            ServingError: TensorFlow's own code and message.
        """
        importing = c.new_import_options()
        try:
            for name in node.input:
                c.map_input(importing, name.encode(), 0, self._tensor(name))
            content = graph_pb2.GraphDef(node=[node]).SerializeToString()
            with c.buffer_of(content) as buffer, c.checked_status() as status:
                c.import_graph(self._graph, buffer, importing, status)
        finally:
            c.delete_import_options(importing)
        return self.run({}, [f"{node.name}:{port}" for port in range(outputs)])

    def has(self, name: str) -> bool:
        """Whether the tensor is in the graph."""
        return self._find(name) is not None

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """What the graph says of the tensor's shape; None where not even the rank is known."""
        tensor = self._tensor(name)
        with c.checked_status() as status:
            rank = c.output_rank(self._graph, tensor, status)
            if rank < 0:
                return None
            dims = (c.c_int64 * rank)()
            c.output_shape(self._graph, tensor, dims, rank, status)
        return tuple(None if dim < 0 else dim for dim in dims)

    def run(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        deadline_s: float | None = None,
        *,
        keeps_state: bool = True,
        targets: Sequence[str] = (),
    ) -> list[np.ndarray]:
        """The tensors `fetches`.

        Args:
            keeps_state: whether what is fed may be kept beyond the run.
            targets: nodes to run besides.

        Raises:
            ServingError: TensorFlow's own code and message, or DEADLINE_EXCEEDED.
        """
        feed = (c.Output * len(feeds))(*map(self._tensor, feeds))
        fetch = (c.Output * len(fetches))(*map(self._tensor, fetches))
        operations = (c.c_void_p * len(targets))(*map(self._operation, targets))
        values = [(c.Tensor.to_keep if keeps_state else c.Tensor.of)(array) for array in feeds.values()]
        fed, fetched = (c.c_void_p * len(feeds))(*(value.address for value in values)), (c.c_void_p * len(fetches))()
        with c.buffer_of(run_options(check_deadline(deadline_s))) as options, c.checked_status() as status:
            run = self._session, options, feed, fed, len(feeds), fetch, fetched, len(fetches)
            c.run_session(*run, operations, len(targets), None, status)
        answers = [c.Tensor(address) for address in fetched if address]
        return [answer.array() for answer in answers]

    def devices(self) -> list[str]:
        """The types of the devices: "CPU", "GPU"."""
        with c.checked_status() as status:
            devices = c.list_devices(self._session, status)
        with c.checked_status() as status:
            found = [c.device_type(devices, i, status).decode() for i in range(c.device_count(devices))]
        c.delete_devices(devices)
        return found

    def close(self) -> None:
        status = c.new_status()  # which nothing can be done about
        c.close_session(self._session, status)
        c.delete_session(self._session, status)
        c.delete_graph(self._graph)
        c.delete_status(status)

    def _operation(self, name: str) -> int:
        return c.operation_by_name(self._graph, name.encode())

    def _tensor(self, name: str) -> c.Output:
        found = self._find(name)
        if found is None:
            raise ServingError(Code.NOT_FOUND, f"The graph has no tensor {name}, which a signature names.")
        return found

    def _find(self, name: str) -> c.Output | None:
        found = self._tensors.get(name)
        if found is None:
            node, _, port = name.partition(":")
            operation = self._operation(node)
            if operation and int(port or 0) < c.output_count(operation):
                found = self._tensors[name] = c.Output(operation, int(port or 0))
        return found


def session_config(options: EngineOptions, *, optimize: bool = True) -> Any:
    """The ConfigProto."""
    config = config_pb2.ConfigProto.FromString(options.session_config)
    if options.tensorflow_intra_op_parallelism:
        config.intra_op_parallelism_threads = options.tensorflow_intra_op_parallelism
    if options.tensorflow_inter_op_parallelism:
        config.inter_op_parallelism_threads = options.tensorflow_inter_op_parallelism
    if options.per_process_gpu_memory_fraction:
        config.gpu_options.per_process_gpu_memory_fraction = options.per_process_gpu_memory_fraction
    if options.mixed_precision == "bfloat16":
        rewriting = config.graph_options.rewrite_options
        rewriting.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    if not optimize:
        config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def check_deadline(deadline_s: float | None) -> int | None:
    """The whole milliseconds left, None for ever; raises ServingError: DEADLINE_EXCEEDED where none is left."""
    if deadline_s is None:
        return None
    left_ms = int((deadline_s - time.monotonic()) * 1000)
    if left_ms <= 0:
        raise ServingError(Code.DEADLINE_EXCEEDED, "The deadline passed before the model could run.")
    return left_ms


def run_options(timeout_ms: int | None) -> bytes | None:
    """Serialized RunOptions, where there is a limit."""
    return None if timeout_ms is None else config_pb2.RunOptions(timeout_in_ms=timeout_ms).SerializeToString()
