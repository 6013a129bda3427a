"""The services as a server offers them, on its fast port and on gRPC's own."""

import pathlib
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving import grpc_services
from serving.call import Observer
from serving.flags import Flags
from serving.grpc_api import deadline_s
from serving.grpc_async import GrpcServer
from serving.metrics import Metrics
from serving.models import Models
from serving.signature import Signature, TensorSpec
from serving.versions import Model, State, Version

WAIT_S = 1000


class Recorder:
    """A servable that answers ones and tells with what deadlines it was asked."""

    def __init__(self):
        texts, values = TensorSpec(np.dtype(object), (None,)), TensorSpec(np.dtype(np.float32), (None,))
        signature = Signature({"inputs": texts}, {"outputs": values, "scores": values}, "", {})
        self.signatures = {"serving_default": signature}
        self.deadlines_s = []

    def run(self, signature_name, inputs, outputs, deadline_s=None):
        self.deadlines_s.append(deadline_s)
        return {name: np.ones((1, 1) if name == "scores" else 1, np.float32) for name in outputs}

    def submit(self, signature_name, inputs, outputs, deadline_s, done):
        done(self.run(signature_name, inputs, outputs, deadline_s))
        return self

    def cancel(self):
        """Nothing runs any more."""


@pytest.fixture(scope="module")
def recorder():
    return Recorder()


@pytest.fixture(scope="module", params=["fast port", "gRPC's own"])
def stub(request, recorder, free_port):
    models = Models()
    models.by_name["m"] = Model(None, {1: Version("m", 1, pathlib.Path(), State.AVAILABLE, recorder)})
    server, address = GrpcServer(1, ()), f"127.0.0.1:{free_port()}"
    if request.param == "fast port":
        server.add_front(address)
    else:
        server.server.add_insecure_port(address)
    grpc_services.add(server, Flags(), models, Observer(Metrics()), lambda: True, lambda *_: None)
    server.start()
    with grpc.insecure_channel(address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)
    server.stop(0)


def requests():
    predict = predict_pb2.PredictRequest()
    predict.inputs["inputs"].CopyFrom(tf.make_tensor_proto([b"text"]))
    classify, regress = classification_pb2.ClassificationRequest(), regression_pb2.RegressionRequest()
    multi_inference = inference_pb2.MultiInferenceRequest()
    multi_inference.tasks.add(method_name="tensorflow/serving/regress").model_spec.name = "m"
    for request in predict, classify, regress:
        request.model_spec.name = "m"
    for request in classify, regress, multi_inference:
        request.input.example_list.examples.add()
    return {"Predict": predict, "Classify": classify, "Regress": regress, "MultiInference": multi_inference}


@pytest.mark.parametrize("method", requests())
def test_the_callers_deadline_is_the_models(stub, recorder, method):
    ask = getattr(stub, method)
    ask(requests()[method], timeout=WAIT_S)
    ask(requests()[method])
    given, none = recorder.deadlines_s[-2:]
    assert given - time.monotonic() == pytest.approx(WAIT_S, rel=0.1)  # gRPC rounds it on its way
    assert none is None


def test_deadline_of_a_client_that_has_none_and_says_292_years_is_none():
    class Context:
        def time_remaining(self):
            return 2**63 / 1e9

    assert deadline_s(Context()) is None
