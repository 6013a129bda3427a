"""A server as a process: what it says, where its temporary files lie, and how it ends."""

import logging
import os
import signal
import socket
import sys
import tempfile
import threading

from serving.errors import Code, ServingError

SHARED_MEMORY = "/dev/shm"

log = logging.getLogger(__name__)


def start_logging() -> None:
    """Our lines on standard error, without uvicorn's chatter."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def wait_for_a_signal(stopping: threading.Event) -> None:
    """Returns once a signal's handler, which runs in this thread, has set `stopping`.

    Linux may hand a signal to any thread, and none but that one wakes up from a lock: Python's note of it in a socket
    wakes this one.
    """
    woken, waking = socket.socketpair()
    with woken, waking:
        waking.setblocking(False)
        signal.set_wakeup_fd(waking.fileno())
        while not stopping.is_set():
            woken.recv(1)
        signal.set_wakeup_fd(-1)


def end_anyway_after(seconds: float, status: int) -> None:
    """A model that does not come to an end cannot be stopped, and must not keep the process."""

    def end() -> None:
        log.error("What runs has not ended after %d seconds; the server ends without it.", seconds)
        os._exit(status)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def find_temporary_folder() -> None:
    """Sockets and keys lie in one; containers with a read-only root still have shared memory.

    Raises:
        ServingError: there is none.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        if not os.access(SHARED_MEMORY, os.W_OK):
            raise ServingError(
                Code.FAILED_PRECONDITION, "No folder for temporary files can be written to. Name one: TMPDIR=/folder."
            ) from None
        os.environ["TMPDIR"] = tempfile.tempdir = SHARED_MEMORY  # the process that loads models needs one too
