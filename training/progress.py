"""Progress bars of the stages that Keras's fit does not run."""

import sys


def progress(stage, pictures):
    """Names the stage; returns a function to call with the pictures done, which shows them and the time left."""
    import keras

    print(f"{stage}: {pictures:,} pictures")
    return keras.utils.Progbar(pictures, verbose=1 if sys.stdout.isatty() else 2, unit_name="picture").update
