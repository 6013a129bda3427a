"""What a signature takes and gives: names, dtypes and shapes, free of any engine."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

Arrays = dict[str, np.ndarray]


class TensorSpec(NamedTuple):
    """One named input or output.

    `dtype` is a numpy dtype: `object` for strings (elements are `bytes`), `ml_dtypes.bfloat16` for bfloat16.
    `shape` has None for a free dimension, and is None itself where even the rank is unknown.
    """

    dtype: np.dtype
    shape: tuple[int | None, ...] | None


class Signature(NamedTuple):
    """A SignatureDef without TensorFlow: inputs, outputs, its method name and its default inputs."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    method_name: str
    defaults: Mapping[str, np.ndarray]


def shape_text(shape: Iterable[int | None]) -> str:
    return "[" + ",".join("N" if dim is None else str(dim) for dim in shape) + "]"
