"""What a SavedModel is converted to, so that it can be pickled.

`serving.conversion` makes it, with TensorFlow's Python; `serving.openvino_engine` runs it, without.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tensorflow.core.framework import graph_pb2

from serving.network import Network


class Cut(NamedTuple):
    """A signature in three parts. Tensors are named as in the whole graph: "node:0".

    Attributes:
        network: a GraphDef from placeholders input_0.., standing for `feeds`, to identities output_0.., for `fetches`.
        key: equal for networks that compute the same from the same weights.
        rest: a GraphDef of what comes before and after; its placeholders output_0.. stand for `fetches`.
        before: what `rest` has to compute for the network and for `after`.
        assertions: the nodes of `rest` that may refuse the inputs.
        after: the outputs, each as a tensor name of `rest`, or of `fetches` where the network gives it.
    """

    network: graph_pb2.GraphDef
    key: str
    feeds: tuple[str, ...]
    fetches: tuple[str, ...]
    rest: graph_pb2.GraphDef
    before: tuple[str, ...]
    assertions: tuple[str, ...]
    after: Mapping[str, str]


class Part(NamedTuple):
    """A signature that OpenVINO runs: how it was cut, and the network; `cut.network` is empty, to save its memory."""

    cut: Cut
    network: Network


class Conversion(NamedTuple):
    """A SavedModel, ready.

    Attributes:
        signature_defs: as in `serving.servable.Servable`.
        stateful: the same.
        engine_report: the same.
        parts: those of the signatures that OpenVINO runs.
    """

    signature_defs: Mapping[str, Any]
    stateful: frozenset[str]
    engine_report: Mapping[str, str]
    parts: Mapping[str, Part]

    @property
    def needs_tensorflow(self) -> bool:
        """Whether some signature runs on the SavedModel as it was loaded."""
        return self.parts.keys() != self.engine_report.keys()
