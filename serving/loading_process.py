"""The process that loads and converts SavedModels for a server: the other end of `serving.loader`."""

import contextlib
import os
import pickle
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from serving.errors import Code, ServingError
from serving.quiet import import_tensorflow
from serving.servable import EngineOptions

if TYPE_CHECKING:
    from serving.parts import Conversion

CANNOT_START = 77  # its exit status


class Request(NamedTuple):
    path: Path
    tags: tuple[str, ...]
    options: EngineOptions


def give_way() -> None:
    """Lets the server go first: p99 of callers in a load was 1.7 times what it is without by niceness alone, and 1.3
    with a half of the processors left to the server. Niceness 19 would take minutes where the server uses every
    processor."""
    os.nice(10)
    if hasattr(os, "sched_setaffinity"):  # Linux
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, processors[len(processors) // 2 :])


def main() -> int:
    """Answers requests until there can be none any more."""
    if "gives_way" in sys.argv:
        give_way()
    with contextlib.suppress(OSError):  # where memory is short, the kernel should end this process, not the server
        Path("/proc/self/oom_score_adj").write_text("1000")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    threading.Thread(target=read, args=(requests,), daemon=True).start()
    try:
        import_tensorflow()
        from serving.conversion import convert, unconverted
        from serving.tensorflow_engine import TensorFlowServable
    except ImportError:
        traceback.print_exc()
        return CANNOT_START

    def send(answer: "Conversion | ServingError") -> None:
        pickle.dump(answer, answers)
        answers.flush()

    while True:
        path, tags, options = requests.get()
        answer: Conversion | ServingError
        try:
            with contextlib.closing(TensorFlowServable(path, tags, options, optimize=False)) as servable:
                send(unconverted(servable))
                answer = convert(servable, options)
        except ServingError as error:
            answer = error
        except Exception as error:
            traceback.print_exc()
            answer = ServingError(Code.INTERNAL, f"{type(error).__name__}: {error}")
        send(answer)


def read(requests: "queue.SimpleQueue[Request]") -> None:
    """Takes requests in a thread, so that the end of the server ends the child even in the middle of a conversion."""
    while True:
        try:
            requests.put(pickle.load(sys.stdin.buffer))
        except (EOFError, pickle.UnpicklingError):
            os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
