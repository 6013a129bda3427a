"""A loaded SavedModel version: arrays in, arrays out, whichever engine runs it."""

import contextlib
import enum
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from serving.errors import ServingError
from serving.processors import schedulable_processors
from serving.signature import Arrays, Signature

if TYPE_CHECKING:
    from serving.parts import Conversion


class Engine(enum.StrEnum):
    """Who runs a signature: `auto` is OpenVINO where it answers as TensorFlow does, and TensorFlow elsewhere."""

    AUTO = "auto"
    TENSORFLOW = "tensorflow"
    OPENVINO = "openvino"


class EngineOptions(NamedTuple):
    """How the engines use the machine; 0 leaves the choice to the engine. Names are TensorFlow Serving's flags.

    Attributes:
        session_config: a serialized tensorflow.ConfigProto, which the others go before.
        op_libraries: the paths of shared objects with operations beside TensorFlow's.
    """

    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    per_process_gpu_memory_fraction: float = 0.0
    mixed_precision: str = ""
    session_config: bytes = b""
    op_libraries: tuple[str, ...] = ()


DEFAULT_OPTIONS = EngineOptions()


Convert = Callable[[pathlib.Path, tuple[str, ...], EngineOptions], "Conversion"]


def batches_at_a_time() -> int:
    """How many batches of one model run side by side: one for every four processors, each on its share of them."""
    return max(1, schedulable_processors() // 4)


class Servable(Protocol):
    """One loaded version. `run` may be called from many threads at once.

    Attributes:
        signatures: what can be run.
        signature_defs: the SignatureDef protos as saved, `__saved_model_init_op` included, for the metadata calls.
        engine_report: for each signature, the engine that runs it and why, for the log and the status page.
        stateful: signatures that write variables, tables or files, so that no run may be left out or added.
    """

    @property
    def signatures(self) -> Mapping[str, Signature]: ...

    @property
    def signature_defs(self) -> Mapping[str, Any]: ...

    @property
    def engine_report(self) -> Mapping[str, str]: ...

    @property
    def stateful(self) -> frozenset[str]: ...

    def run(
        self, signature_name: str, inputs: Arrays, outputs: Sequence[str], deadline_s: float | None = None
    ) -> Arrays:
        """The named `outputs`, and nothing that they do not need, computed from `inputs`.

        Args:
            signature_name: a key of `signatures`.
            inputs: every input of the signature, in its dtype; shapes are for the model to judge.
            outputs: names out of the signature's outputs.
            deadline_s: when the caller stops waiting, on the clock of `time.monotonic`; None is never.

        Raises:
            ServingError: DEADLINE_EXCEEDED, or the code and message with which the model refused.
        """

    def close(self) -> None:
        """Gives the memory back; no call may be running, and none may follow."""


class Cancellable(Protocol):
    def cancel(self) -> None:
        """Nobody waits for the answer any more."""


class QueuedServable(Servable, Protocol):
    """A `Servable` that can also be asked without a thread that waits."""

    def submit(
        self,
        signature_name: str,
        inputs: Arrays,
        outputs: Sequence[str],
        deadline_s: float | None,
        done: Callable[[Arrays | ServingError], None],
    ) -> Cancellable:
        """Starts what `run` does; `done` is called with the answer in a thread of the servable's.

        Raises:
            ServingError: what can be refused at once.
        """
        ...


def load(
    path: str | pathlib.Path,
    *,
    tags: Sequence[str] = ("serve",),
    engine: str = Engine.AUTO,
    options: EngineOptions = DEFAULT_OPTIONS,
    convert: Convert | None = None,
) -> Servable:
    """The SavedModel in the directory `path`, ready to run.

    Args:
        convert: what converts it for OpenVINO in another process; by default this one does.

    Raises:
        ServingError: NOT_FOUND where there is no SavedModel or none with these tags; else the code and the message
            with which TensorFlow refused it.
    """
    from serving.tensorflow_engine import TensorFlowServable, has_gpu  # TensorFlow's library takes half a second

    path, tags, chosen = pathlib.Path(path), tuple(tags), Engine(engine)
    if chosen is Engine.TENSORFLOW or (chosen is Engine.AUTO and has_gpu(options)):
        return TensorFlowServable(path, tags, options)
    from serving.openvino_engine import OpenVinoServable

    converted = (convert or _convert_here)(path, tags, options)
    servable = TensorFlowServable(path, tags, options) if converted.needs_tensorflow else None
    try:
        return OpenVinoServable(converted, servable, options)
    except BaseException:
        if servable is not None:
            servable.close()
        raise


def _convert_here(path: pathlib.Path, tags: tuple[str, ...], options: EngineOptions) -> "Conversion":
    from serving import conversion
    from serving.tensorflow_engine import TensorFlowServable

    with contextlib.closing(TensorFlowServable(path, tags, options, optimize=False)) as servable:
        return conversion.convert(servable, options)
