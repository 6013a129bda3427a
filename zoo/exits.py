"""Ends of programs that are nobody's mistake."""

import contextlib
import os
import sys


@contextlib.contextmanager
def without_traceback(stopped="Stopped."):
    """Ctrl-C is the sentence `stopped` and exit status 130; an output that nobody reads any more, as of `| head`, 141.

    So a shell tells them: 128 and the signal's number.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"\n{stopped}", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # which Python flushes once more at its end
        raise SystemExit(141) from None
