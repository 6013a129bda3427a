"""The numbers a training computes with: bfloat16 where the processor multiplies it faster, else float32."""

import contextlib
from pathlib import Path

FAST_BFLOAT16 = {"avx512_bf16", "amx_bf16"}  # without either, mixed_bfloat16 is slower than float32 on a CPU


def choose_policy(cpuinfo=Path("/proc/cpuinfo")):
    """The Keras dtype policy for training here: "mixed_bfloat16" or "float32"."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return "float32"
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return "mixed_bfloat16" if FAST_BFLOAT16 & set(flags) else "float32"


@contextlib.contextmanager
def dtype_policy(name):
    """Layers made inside compute by the Keras policy of that name."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
