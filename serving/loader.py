"""SavedModels loaded and converted in a process of their own: callers of other models hardly feel it, and the server
does without TensorFlow's Python.

The freezing of variables and the cutting of the graph hold the interpreter for 10 to 22 ms at a stretch, and the check
against TensorFlow wants every processor. The child does all this, at a low priority once there are callers. The
server's process reads what came out of it, compiled networks included: 6 to 9 ms each, mostly without holding the
interpreter. What TensorFlow itself runs is loaded in the server's process, by TensorFlow's library, which does not hold
it either (`serving.tensorflow_c`).

This is the server's end; the child is `serving.loading_process`. They speak pickles over the child's standard input
and output. A `Request` is answered by a `ServingError`, or by two of `Conversion`: one that leaves all to TensorFlow as
soon as that has loaded the model, which counts where what follows crashes the child or takes too long, and the real
one.
"""

import contextlib
import functools
import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from serving.errors import Code, ServingError
from serving.loading_process import CANNOT_START, Request
from serving.quiet import put_tensorflow_back
from serving.servable import EngineOptions, Servable, load

if TYPE_CHECKING:
    from serving.parts import Conversion

IDLE_S = 10.0
CONVERSION_S = 600.0
COMMAND = (sys.executable, "-m", "serving.loading_process")
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}
LOST = (OSError, EOFError, pickle.UnpicklingError)

log = logging.getLogger(__name__)


class NotStartedError(Exception):
    """Why there is no child; the message is part of a log line."""


class Loader:
    """Converts SavedModels, one at a time, in a child that starts with the first and ends when none has come for long.

    Args:
        idle_s: how long the child stays for the next one: its start takes seconds, and it holds some 500 MB.
        command: what starts the child.
        conversion_s: how long a conversion may take that TensorFlow's load has come before.
    """

    def __init__(
        self, idle_s: float = IDLE_S, command: Sequence[str] = COMMAND, conversion_s: float = CONVERSION_S
    ) -> None:
        self._idle_s, self._command, self._conversion_s = idle_s, command, conversion_s
        self._turn = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._gives_way = False
        self._idle: threading.Timer | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._is_closed = False

    def start(self) -> None:
        """Starts the child, which takes seconds, before there is something to load."""
        with self._turn, contextlib.suppress(NotStartedError):
            self._launch(gives_way=False)
            self._end_when_idle()

    def load(
        self, path: Path, *, tags: Sequence[str], engine: str, options: EngineOptions, gives_way: bool = True
    ) -> Servable:
        """As `serving.servable.load`, converted in the child, or in this process where there can be none.

        Args:
            gives_way: whether the child leaves the processors to this process, as far as it can.

        Raises:
            ServingError: as there; UNAVAILABLE where the child ended before it had answered.
        """
        load_it = functools.partial(load, path, tags=tags, engine=engine, options=options)
        try:
            return load_it(convert=functools.partial(self.convert, gives_way=gives_way))
        except NotStartedError as error:
            log.warning("%s loads in the server's process, which callers may feel: there is no other, %s.", path, error)
            put_tensorflow_back()
            return load_it()

    def convert(
        self, path: Path, tags: tuple[str, ...], options: EngineOptions, *, gives_way: bool = True
    ) -> "Conversion":
        """What `serving.conversion` makes of the SavedModel in `path`.

        Raises:
            ServingError: as `serving.servable.load`; UNAVAILABLE where the child ended before it had answered.
            NotStartedError: there is no child to ask.
        """
        with self._turn:
            try:
                answer = self._ask(Request(path, tags, options), gives_way)
            except BaseException:  # what is left in the pipes would be taken for the next answer
                self._end()
                raise
            self._end_when_idle()
        if isinstance(answer, ServingError):
            raise answer
        return answer

    def end_child(self) -> None:
        """Gives the child's memory back; the next conversion starts another."""
        with self._turn:
            self._end()

    def close(self) -> None:
        """Ends the child, whatever it does; a conversion that waits for it fails, and so does every later one."""
        self._is_closed = True
        child = self._child
        if child is not None:
            child.kill()
        with self._turn:
            self._end()

    def _ask(self, request: Request, gives_way: bool) -> "Conversion | ServingError":
        if self._idle is not None:
            self._idle.cancel()
        child = self._child
        if child is None or child.poll() is not None or self._gives_way != gives_way:
            child = self._launch(gives_way)
        if self._is_closed:
            raise ServingError(Code.UNAVAILABLE, "The server is stopping.")
        try:
            pickle.dump(request, stdin := pipe(child.stdin))
            stdin.flush()
            answer = pickle.load(pipe(child.stdout))
        except LOST as error:
            raise ended(child, request.path) from error
        if isinstance(answer, ServingError):
            return answer
        overdue = threading.Event()

        def end() -> None:
            overdue.set()
            child.kill()

        limit = threading.Timer(self._conversion_s, end)
        limit.daemon = True
        limit.start()
        try:
            return pickle.load(pipe(child.stdout))
        except LOST as error:
            refusal = ended(child, request.path)
            if not overdue.is_set() and -child.wait() not in CRASHES:
                raise refusal from error
            log.error("%s TensorFlow runs it.", refusal)
            why = f"took more than {self._conversion_s:g} s"
            if not overdue.is_set():
                why = f"ended by {signal.Signals(-child.wait()).name}"
            report = f"tensorflow: its conversion for OpenVINO {why}"
            return answer._replace(engine_report=dict.fromkeys(answer.engine_report, report))
        finally:
            limit.cancel()

    def _launch(self, gives_way: bool) -> subprocess.Popen[bytes]:
        self._end()
        self._gives_way = gives_way
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="convzoo-", ignore_cleanup_errors=True)
        except OSError as error:
            raise NotStartedError(str(error)) from error
        self._child = launch([*self._command, *(["gives_way"] if gives_way else [])], self._folder.name)
        return self._child

    def _end_when_idle(self) -> None:
        self._idle = threading.Timer(self._idle_s, self._end_idle)
        self._idle.daemon = True
        self._idle.start()

    def _end_idle(self) -> None:
        with self._turn:
            if threading.current_thread() is self._idle:  # else another conversion has come meanwhile
                self._end()

    def _end(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            with contextlib.suppress(BrokenPipeError), child:  # closes its pipes and waits for it
                pass
        if self._folder is not None:
            self._folder.cleanup()


def launch(command: Sequence[str], folder: str) -> subprocess.Popen[bytes]:
    """The child, which imports TensorFlow before it reads, and leaves in `folder` what it writes when it is killed.

    Raises:
        NotStartedError: with the reason.
    """
    places = os.pathsep.join(filter(None, sys.path))
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": places, "CUDA_VISIBLE_DEVICES": "-1", "TMPDIR": folder},
            # An interrupt from the terminal is for the server, which ends the child in its time. Not a session of its
            # own, since Linux counts niceness only within one (autogroups).
            process_group=0,
        )
    except OSError as error:
        raise NotStartedError(str(error)) from error


def ended(child: subprocess.Popen[bytes], path: Path) -> Exception:
    """What to raise for a child that gave no answer."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=1)
    child.kill()  # if it still runs, what it wrote was no answer
    status = child.wait()
    if status == CANNOT_START:
        return NotStartedError("it ended before it could read a model, as it says above")
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    hint = " Is there memory enough for the server and one more model?" if status == -signal.SIGKILL else ""
    return ServingError(Code.UNAVAILABLE, f"The process that loads models {how} while it loaded {path}.{hint}")


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise EOFError("The child has no pipes.")
    return stream
