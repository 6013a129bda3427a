"""Predict, classify, regress and multi-inference on a servable, free of any transport.

Both protocols and the warm-up come through here, so that all answer alike and refuse alike. What TensorFlow Serving
checks before it runs a graph is checked here in its order and its words; shapes are left to the graph's own operations,
as there.

Source: TensorFlow Serving's predict_util, classifier and regressor, and TensorFlow's cc/saved_model/util.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from serving.classification import Classification, classification, regression
from serving.errors import Code, ServingError
from serving.servable import Servable
from serving.signature import Arrays, Signature, TensorSpec
from serving.tensor_types import type_name

DEFAULT_SIGNATURE = "serving_default"
EXAMPLES_INPUT = "inputs"
CLASSIFY_OUTPUTS, REGRESS_OUTPUTS = ("classes", "scores"), ("outputs",)
CLASSIFY_METHOD, REGRESS_METHOD = "tensorflow/serving/classify", "tensorflow/serving/regress"


def predict(
    servable: Servable,
    signature_name: str,
    inputs: Arrays,
    output_filter: Sequence[str] = (),
    deadline_s: float | None = None,
) -> Arrays:
    """Runs a signature; `output_filter` also limits what is executed.

    Args:
        inputs: {input name: array}; a name with a default in the signature may be left out.
        output_filter: names of the outputs wanted; empty for all.
        deadline_s: `time.monotonic()` after which nobody waits for the answer.

    Raises:
        ServingError: FAILED_PRECONDITION for an unknown signature, INVALID_ARGUMENT for wrong names or dtypes.
    """
    return servable.run(signature_name, *prepared(servable, signature_name, inputs, output_filter), deadline_s)


def prepared(
    servable: Servable, signature_name: str, inputs: Arrays, output_filter: Sequence[str] = ()
) -> tuple[Arrays, Sequence[str]]:
    """What `predict` runs: `inputs` checked and completed with the defaults, and the names of the outputs.

    Raises:
        ServingError: as `predict` does, before it runs anything.
    """
    signature = servable.signatures.get(signature_name)
    if signature is None:
        raise ServingError(
            Code.FAILED_PRECONDITION,
            f'Serving signature key "{signature_name}" not found. Signatures of this model: {_names(servable)}.',
        )
    return _checked_inputs(signature, inputs), _checked_outputs(signature, output_filter)


def classify(
    servable: Servable,
    signature_name: str,
    examples: np.ndarray,
    deadline_s: float | None = None,
    *,
    check_method_name: bool = False,
) -> Classification:
    """Runs a signature on serialized `tf.Example`s, bytes [N], as its input `inputs`.

    `check_method_name` is --enable_signature_method_name_check: TF1 exports name the method, TF2 exports do not.

    Raises:
        ServingError: INVALID_ARGUMENT for an unknown or unfitting signature or no examples; else as `classification`.
    """
    if check_method_name:
        _check_method_name(servable, signature_name, "classification", CLASSIFY_METHOD)
    outputs = _run_examples(servable, signature_name, examples, CLASSIFY_OUTPUTS, deadline_s)
    return classification(outputs, len(examples), servable.signatures[signature_name].outputs)


def regress(
    servable: Servable,
    signature_name: str,
    examples: np.ndarray,
    deadline_s: float | None = None,
    *,
    check_method_name: bool = False,
) -> np.ndarray:
    """Runs a signature on serialized `tf.Example`s, bytes [N], and returns its values, float32 [N].

    Raises:
        ServingError: INVALID_ARGUMENT for an unknown or unfitting signature or no examples; else as `regression`.
    """
    if check_method_name:
        _check_method_name(servable, signature_name, "regression", REGRESS_METHOD)
    outputs = _run_examples(servable, signature_name, examples, REGRESS_OUTPUTS, deadline_s)
    return regression(outputs, len(examples), servable.signatures[signature_name].outputs)


def multi_inference(
    servable: Servable,
    tasks: Sequence[tuple[str, str]],
    examples: np.ndarray,
    deadline_s: float | None = None,
    *,
    check_method_name: bool = False,
) -> list[Classification | np.ndarray]:
    """Runs several (signature name, method name) tasks on the same examples, in order.

    Raises:
        ServingError: INVALID_ARGUMENT for an unknown or repeated signature, UNIMPLEMENTED for another method.
    """
    results: list[Classification | np.ndarray] = []
    seen = set()
    for signature_name, method_name in tasks:
        if signature_name in seen:
            raise ServingError(Code.INVALID_ARGUMENT, f"Duplicate evaluation of signature: {signature_name}")
        seen.add(signature_name)
        if signature_name not in servable.signatures:
            raise ServingError(Code.INVALID_ARGUMENT, f"Requested signature not found in model graph: {signature_name}")
        if method_name == CLASSIFY_METHOD:
            results.append(
                classify(servable, signature_name, examples, deadline_s, check_method_name=check_method_name)
            )
        elif method_name == REGRESS_METHOD:
            results.append(regress(servable, signature_name, examples, deadline_s, check_method_name=check_method_name))
        else:
            raise ServingError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {method_name}")
    return results


def _run_examples(
    servable: Servable, signature_name: str, examples: np.ndarray, names: Sequence[str], deadline_s: float | None
) -> Arrays:
    signature = _examples_signature(servable, signature_name)
    if not len(examples):
        raise ServingError(Code.INVALID_ARGUMENT, "Input is empty.")
    outputs = [name for name in names if name in signature.outputs]
    if not outputs:
        return {}
    return servable.run(signature_name, {EXAMPLES_INPUT: examples}, outputs, deadline_s)


def _check_method_name(servable: Servable, signature_name: str, kind: str, expected: str) -> None:
    method_name = _examples_signature(servable, signature_name).method_name
    if method_name != expected:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"Expected {kind} signature method_name to be {expected}. Was: {method_name}. "
            f"Start the server without --enable_signature_method_name_check to run it all the same.",
        )


def _examples_signature(servable: Servable, signature_name: str) -> Signature:
    signature = servable.signatures.get(signature_name)
    if signature is None:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"No signature was found with the name: {signature_name}. Signatures of this model: {_names(servable)}.",
        )
    if set(signature.inputs) != {EXAMPLES_INPUT}:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f'Expected signature inputs to be exactly "{EXAMPLES_INPUT}" (serialized tf.Example), but signature '
            f"{signature_name} takes {_set(signature.inputs)}",
        )
    if signature.inputs[EXAMPLES_INPUT].dtype != object:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f'Expected "{EXAMPLES_INPUT}" of signature {signature_name} to be string (serialized tf.Example), '
            f"but it is {type_name(signature.inputs[EXAMPLES_INPUT].dtype)}",
        )
    return signature


def _checked_inputs(signature: Signature, inputs: Arrays) -> Arrays:
    missing = [name for name in signature.inputs if name not in inputs]
    required = [name for name in missing if name not in signature.defaults]
    extra = [name for name in inputs if name not in signature.inputs]
    if len(inputs) > len(signature.inputs) or (len(required) > len(extra)):
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"input size does not match signature: {len(inputs)}!={len(signature.inputs)} "
            f"len({_set(inputs)}) != len({_set(signature.inputs)}). "
            f"Sent extra: {_set(extra)}. Missing but required: {_set(required)}.",
        )
    if extra:
        name = (required or missing)[0]
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"Signature input alias: {name}(feed name: {name}) not found in request and no default value provided. "
            f"Inputs expected to be in the request {_set(inputs)}, or default input alias set: "
            f"{', '.join(signature.defaults)}. Expected: {_described(signature.inputs)}.",
        )
    for name, array in inputs.items():
        expected = signature.inputs[name].dtype
        if array.dtype != expected:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"Expects arg[{sorted(signature.inputs).index(name)}] to be {type_name(expected)} "
                f"but {type_name(array.dtype)} is provided. Input {name!r} of {_described(signature.inputs)}.",
            )
    return {**{name: signature.defaults[name] for name in missing}, **inputs} if missing else inputs


def _checked_outputs(signature: Signature, output_filter: Sequence[str]) -> Sequence[str]:
    for position, name in enumerate(output_filter):
        if name not in signature.outputs:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {_set(signature.outputs)}.",
            )
        if name in output_filter[:position]:
            raise ServingError(Code.INVALID_ARGUMENT, f"duplicate output tensor alias: {name}")
    return list(output_filter) or list(signature.outputs)


def _set(names: Sequence[str] | Mapping[str, object]) -> str:
    return "{" + ",".join(sorted(names)) + "}"


def _names(servable: Servable) -> str:
    return ", ".join(sorted(servable.signatures))


def _described(specs: Mapping[str, TensorSpec]) -> str:
    return ", ".join(f"{name} ({type_name(spec.dtype)}, {_shape(spec.shape)})" for name, spec in specs.items())


def _shape(shape: tuple[int | None, ...] | None) -> str:
    return "any shape" if shape is None else "[" + ", ".join("N" if d is None else str(d) for d in shape) + "]"
