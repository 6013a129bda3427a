"""The fast engine for networks on a processor: OpenVINO where it answers as TensorFlow does, TensorFlow elsewhere.

What `serving.conversion` made of a SavedModel, run: of each signature, OpenVINO runs the network and TensorFlow what
comes before and after it. Signatures without a network run on the SavedModel as TensorFlow loaded it, which is given
back where no signature needs it.
"""

import hashlib
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tensorflow.core.framework import graph_pb2

from serving.errors import Code, ServingError
from serving.network import Network
from serving.parts import Conversion, Cut
from serving.servable import EngineOptions
from serving.signature import Arrays, Signature
from serving.tensorflow_engine import TensorFlowServable, runnable_signatures, trim
from serving.tensorflow_session import GraphSession, check_deadline


class Plan(NamedTuple):
    """How a signature is run: what comes before the network, the network, what comes after it."""

    cut: Cut
    network: Network
    rest: "Rest | None"
    feeds: Mapping[str, str]

    def run(self, inputs: Arrays, outputs: Sequence[str], deadline_s: float | None) -> Arrays:
        """`inputs` and the result by the signature's names; `feeds` are the tensors that stand for the inputs."""
        values = {self.feeds[name]: array for name, array in inputs.items()}
        if self.cut.before or self.cut.assertions:
            values.update(self._run_rest(values, self.cut.before, deadline_s, self.cut.assertions))
        check_deadline(deadline_s)
        found = self.network.run([values[tensor] for tensor in self.cut.feeds], deadline_s)
        values.update(zip(self.cut.fetches, found, strict=True))
        wanted = {name: self.cut.after[name] for name in outputs}
        missing = [tensor for tensor in wanted.values() if tensor not in values]
        if missing:
            stand_ins = {f"output_{i}:0": array for i, array in enumerate(found)}
            carried = {tensor: values[tensor] for tensor in [*self.feeds.values(), *self.cut.before]}
            values.update(self._run_rest({**carried, **stand_ins}, missing, deadline_s))
        return {name: values[tensor] for name, tensor in wanted.items()}

    def _run_rest(
        self, values: Arrays, fetches: Sequence[str], deadline_s: float | None, targets: Sequence[str] = ()
    ) -> Arrays:
        if self.rest is None:
            raise ServingError(Code.INTERNAL, "A part of the signature is missing.")
        session = self.rest.session
        known = {tensor: array for tensor, array in values.items() if session.has(tensor)}
        found = session.run(known, fetches, deadline_s, keeps_state=False, targets=targets)
        return dict(zip(fetches, found, strict=True))


class Rest:
    """What TensorFlow runs of a signature."""

    _shared: "weakref.WeakValueDictionary[tuple[bytes, EngineOptions], Rest]" = weakref.WeakValueDictionary()
    _sharing = threading.Lock()

    def __init__(self, graph: graph_pb2.GraphDef, options: EngineOptions) -> None:
        self.session = GraphSession.of(graph, options)

    @classmethod
    def of(cls, graph: graph_pb2.GraphDef, options: EngineOptions) -> "Rest":
        """One for all that are equal: a model's next version has the same decoder, and finds it ready."""
        key = hashlib.sha256(graph.SerializeToString(deterministic=True)).digest(), options
        with cls._sharing:
            found = cls._shared.get(key)
            if found is None:
                found = cls._shared[key] = cls(graph, options)
            return found

    def __del__(self) -> None:
        if hasattr(self, "session"):  # else TensorFlow refused the graph
            self.session.close()


class OpenVinoServable:
    """A `serving.servable.Servable`: networks on OpenVINO, the rest on TensorFlow.

    Args:
        tensorflow: the SavedModel as loaded, where `conversion` needs it.
    """

    def __init__(self, conversion: Conversion, tensorflow: TensorFlowServable | None, options: EngineOptions) -> None:
        self.signature_defs: Mapping[str, Any] = conversion.signature_defs
        self.signatures: Mapping[str, Signature] = runnable_signatures(conversion.signature_defs)
        self.stateful: frozenset[str] = conversion.stateful
        self.engine_report: Mapping[str, str] = conversion.engine_report
        self._tensorflow = tensorflow
        self._plans = {}
        for name, (found, network) in conversion.parts.items():
            feeds = {key: info.name for key, info in self.signature_defs[name].inputs.items()}
            rest = rest_of(found, options)
            self._plans[name] = Plan(found._replace(rest=graph_pb2.GraphDef()), network, rest, feeds)

    def run(
        self, signature_name: str, inputs: Arrays, outputs: Sequence[str], deadline_s: float | None = None
    ) -> Arrays:
        plan = self._plans.get(signature_name)
        if plan is not None:
            return plan.run(inputs, outputs, deadline_s)
        if self._tensorflow is None:
            raise ServingError(Code.NOT_FOUND, f'Serving signature key "{signature_name}" not found.')
        return self._tensorflow.run(signature_name, inputs, outputs, deadline_s)

    def close(self) -> None:
        self._plans.clear()
        if self._tensorflow is not None:
            self._tensorflow.close()
        trim()


def rest_of(found: Cut, options: EngineOptions) -> Rest | None:
    if not found.before and not found.assertions and set(found.after.values()) <= set(found.fetches):
        return None
    return Rest.of(found.rest, options)
