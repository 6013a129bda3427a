"""A network on OpenVINO: compiled from a graph, or read back as another process compiled it."""

import pathlib
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow.core.framework import graph_pb2

from serving.errors import Code, ServingError
from serving.servable import EngineOptions, batches_at_a_time
from serving.signature import shape_text
from serving.tensorflow_session import check_deadline

# OpenVINO's import would send a note to its makers from a fork of this process. The fork keeps the process's pipes and
# signal handlers, and was seen to outlive it. Without the module OpenVINO falls back on a stub of its own.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
import openvino  # noqa: E402

# Batches are padded up to one of these, so that OpenVINO prepares and keeps few shapes; more rows run in turns, since
# larger batches gain nothing: 32 rows of All-CNN-C in turns of 8, 16 and 32 take 23.0, 22.9 and 23.5 ms at width 1,
# and 2.93, 2.84 and 2.80 ms at width 1/3.
BATCH_SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)


class Network:
    """A compiled network: `run` takes and gives arrays by position, from any thread."""

    def __init__(self, compiled: openvino.CompiledModel, options: EngineOptions) -> None:
        self._compiled, self._options = compiled, options
        self._inputs = [compiled.input(f"input_{i}:0") for i in range(len(compiled.inputs))]
        self._outputs = [compiled.output(f"output_{i}:0") for i in range(len(compiled.outputs))]
        self.shapes = [dims(port) for port in self._inputs]
        self.dtypes = [port.element_type.to_dtype() for port in self._inputs]
        self.precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        every = [*self.shapes, *(dims(port) for port in self._outputs)]
        self.is_batched = all(shape and shape[0] is None for shape in every)
        self._idle: list[Any] = []

    @classmethod
    def of(cls, graph: graph_pb2.GraphDef, options: EngineOptions) -> "Network":
        """Compiles a GraphDef from placeholders input_0.. to output_0..; raises RuntimeError where OpenVINO cannot."""
        core = openvino.Core()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "network.pb")
            path.write_bytes(graph.SerializeToString())
            model = core.read_model(path)
        return cls(core.compile_model(model, "CPU", settings(options, core)), options)

    @classmethod
    def read(cls, blob: bytes, options: EngineOptions) -> "Network":
        """What a process on the same machine compiled, in a fourth of the time and without holding the interpreter."""
        core = openvino.Core()
        return cls(core.import_model(blob, "CPU", settings(options, core)), options)

    def __reduce__(self) -> tuple[Any, ...]:
        return Network.read, (self._compiled.export_model().getvalue(), self._options)

    def run(self, arrays: Sequence[np.ndarray], deadline_s: float | None = None) -> list[np.ndarray]:
        """Raises ServingError: INVALID_ARGUMENT where the shapes do not fit, DEADLINE_EXCEEDED."""
        for array, shape in zip(arrays, self.shapes, strict=True):
            check_shape(array, shape)
        if not self.is_batched:
            return self._infer(arrays, None)
        rows, most = len(arrays[0]), BATCH_SIZES[-1]
        if any(len(array) != rows for array in arrays):
            return self._infer(arrays, None)
        if rows <= most:
            return self._infer(arrays, rows)
        turns = []
        for i in range(0, rows, most):
            check_deadline(deadline_s)
            turns.append(self._infer([a[i : i + most] for a in arrays], min(most, rows - i)))
        return [np.concatenate(parts) for parts in zip(*turns, strict=True)]

    def _infer(self, arrays: Sequence[np.ndarray], rows: int | None) -> list[np.ndarray]:
        size = None if rows is None else next(size for size in BATCH_SIZES if size >= rows)
        # OpenVINO reads only memory that it might write.
        fed = [
            np.require(array, requirements=("C", "W")) if size is None or size == len(array) else padded(array, size)
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


def settings(options: EngineOptions, core: openvino.Core) -> dict[str, Any]:
    threads = options.tensorflow_intra_op_parallelism
    has_bfloat16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return {
        "NUM_STREAMS": batches_at_a_time(),
        "ENABLE_CPU_PINNING": False,  # our own threads use the processors too: 6% more calls a second
        # Its default on processors with AVX512_BF16 is bfloat16, which changes answers.
        "INFERENCE_PRECISION_HINT": "bf16" if options.mixed_precision == "bfloat16" and has_bfloat16 else "f32",
        **({"INFERENCE_NUM_THREADS": threads} if threads else {}),
    }


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
