"""How far a stage of a program is, and how long each took."""

import contextlib
import sys
import time


def progress(stage, count, unit="picture"):
    """Names the stage; returns a function to call with the units done, which shows them and the time left."""
    import keras

    print(f"{stage}:")
    return keras.utils.Progbar(count, verbose=1 if sys.stdout.isatty() else 2, unit_name=unit).update


class Stopwatch:
    """`seconds` of each stage, by name: `with watch("features"): ...`."""

    def __init__(self):
        self.seconds = {}

    @contextlib.contextmanager
    def __call__(self, stage):
        began = time.monotonic()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0) + time.monotonic() - began

    def __str__(self):
        return ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in self.seconds.items())
