"""How far a stage of a program is, and how long each took."""

import contextlib
import sys
import time


def progress(stage, pictures):
    """Names the stage; returns a function to call with the pictures done, which shows them and the time left."""
    import keras

    print(f"{stage}: {pictures:,} pictures")
    return keras.utils.Progbar(pictures, verbose=1 if sys.stdout.isatty() else 2, unit_name="picture").update


class Stopwatch:
    """`seconds` of each stage, by name: `with watch("features"): ...`."""

    def __init__(self):
        self.seconds = {}

    @contextlib.contextmanager
    def __call__(self, stage):
        began = time.monotonic()
        yield
        self.seconds[stage] = time.monotonic() - began

    def __str__(self):
        return ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in self.seconds.items())
