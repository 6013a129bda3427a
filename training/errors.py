"""What a program's user got wrong, or the machine refused, told in one sentence."""

import contextlib
import re
import shlex
import sys

from zoo.exits import without_traceback


class InputError(ValueError):
    """A command line or its data cannot be used; the message says what came, what was expected and what to do."""


class Interrupted(Exception):
    """The user asked a program to stop; everything is saved."""


@contextlib.contextmanager
def exit_with_a_sentence(again=""):
    """Turns errors that are no mistake of the program into a sentence on stderr and exit status 2; Ctrl-C into 130.

    `again` is the sentence to add where the work can go on.
    """
    with without_traceback(f"Stopped. {again}".rstrip()):
        try:
            yield
        except Interrupted:
            raise KeyboardInterrupt from None
        except InputError as error:
            print(error, file=sys.stderr)
            raise SystemExit(2) from error
        except Exception as error:
            told = refusal(error)
            if not told:
                raise
            print(told if is_out_of_memory(error) else f"{told} {again}".rstrip(), file=sys.stderr)
            raise SystemExit(2) from error


def is_out_of_memory(error):
    """Whether the same command would end in the same way."""
    return isinstance(error, MemoryError) or "OOM when allocating" in str(error)


def refusal(error):
    """A sentence for what the machine refused: a file, a disk, memory. None for every other error."""
    if isinstance(error, BrokenPipeError):
        return None
    if isinstance(error, OSError):
        return f"{error.filename} cannot be used: {error.strerror}." if error.filename else f"{error}."
    if isinstance(error, MemoryError):
        return f"There is not enough memory ({error or 'out of memory'}). Ask for smaller images or batches."
    if "tensorflow" not in sys.modules:
        return None
    from tensorflow import errors

    kinds = errors.NotFoundError, errors.PermissionDeniedError, errors.FailedPreconditionError
    if isinstance(error, errors.ResourceExhaustedError) and "No space left on device" in error.message:
        return "The disk is full: what TensorFlow saves could not be written. Make room on it, or give other folders."
    if isinstance(error, (*kinds, errors.ResourceExhaustedError)):
        return f"TensorFlow was refused a file or memory: {re.sub('{{.*?}} ', '', error.message.splitlines()[0])}."
    return None


def command_line(program, argv):
    """What starts `program`, the name of a module."""
    return shlex.join(["python", "-m", program, *argv])


def continued(command):
    """The sentence that says how a training goes on."""
    return f"Continue with: {command}"
