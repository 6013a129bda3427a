"""What a program's user got wrong, told in one sentence."""

import contextlib
import sys


class InputError(ValueError):
    """A command line or its data cannot be used; the message says what came, what was expected and what to do."""


class Interrupted(Exception):
    """The user asked a program to stop; everything is saved."""


@contextlib.contextmanager
def exit_with_a_sentence():
    """Turns an InputError into its sentence on stderr and exit status 2."""
    try:
        yield
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error
