"""What a classify or regress signature must give, and its outputs as the protocol's results: arrays only.

Source: classifier.cc and regressor.cc of TensorFlow Serving.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from serving.errors import Code, ServingError
from serving.tensor_types import type_name

_STRING, _FLOAT = np.dtype(np.object_), np.dtype(np.float32)


class Classification(NamedTuple):
    """`classes` bytes [N, K] and `scores` float32 [N, K]; one of them may be None."""

    classes: np.ndarray | None
    scores: np.ndarray | None

    def rows(self) -> Iterator[tuple[list[bytes], list[float]]]:
        """The labels and the scores of one example after the other; empty labels or zeros for what is missing."""
        some = self.classes if self.classes is not None else self.scores
        if some is None:
            return
        count, width = some.shape
        classes = [[b""] * width] * count if self.classes is None else self.classes.tolist()
        scores = [[0.0] * width] * count if self.scores is None else self.scores.tolist()
        yield from zip(classes, scores, strict=True)


def _error(message: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, message)


def classification(outputs: Mapping[str, np.ndarray], num_examples: int, known: Iterable[str] = ()) -> Classification:
    """The outputs `classes` and `scores` of a classify signature, checked.

    Args:
        known: all that the signature has, for the refusal.

    Raises:
        ServingError: FAILED_PRECONDITION, there is neither; INVALID_ARGUMENT, wrong shape or dtype.
    """
    classes, scores = outputs.get("classes"), outputs.get("scores")
    if classes is None and scores is None:
        raise ServingError(
            Code.FAILED_PRECONDITION,
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Outputs: {', '.join(sorted(known or outputs))}.",
        )
    if classes is not None:
        _check("classes", classes, _STRING, num_examples)
    if scores is not None:
        _check("scores", scores, _FLOAT, num_examples)
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise _error(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    return Classification(classes, scores)


def _check(name: str, array: np.ndarray, dtype: np.dtype, num_examples: int) -> None:
    if array.ndim != 2:
        raise _error(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
    if array.dtype != dtype:
        raise _error(f"Expected {name} Tensor of {_enum(dtype)}. Got: {_enum(array.dtype)}")
    if len(array) != num_examples:
        raise _error(f"Expected {name} output batch size of {num_examples}. Got: {len(array)}")


def regression(outputs: Mapping[str, np.ndarray], num_examples: int, known: Iterable[str] = ()) -> np.ndarray:
    """The output `outputs` of a regress signature, checked: float32 [N].

    Args:
        known: all that the signature has, for the refusal.

    Raises:
        ServingError: FAILED_PRECONDITION, it is not there; INVALID_ARGUMENT, wrong shape or dtype.
    """
    values = outputs.get("outputs")
    if values is None:
        raise ServingError(
            Code.FAILED_PRECONDITION,
            'No regression outputs found in SignatureDef: expected "outputs". '
            f"Outputs: {', '.join(sorted(known or outputs))}.",
        )
    if values.ndim not in (1, 2) or values.shape[1:] not in ((), (1,)):
        raise _error(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(values)}"
        )
    if len(values) != num_examples:
        raise _error(f"Input batch size did not match output batch size: {num_examples} vs. {len(values)}")
    if values.dtype != _FLOAT:
        raise _error(f"Expected output Tensor of DT_FLOAT.  Got: {_enum(values.dtype)}")
    return values.reshape(-1)


def _shape(array: np.ndarray) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def _enum(dtype: np.dtype) -> str:
    return f"DT_{type_name(dtype).upper()}"
