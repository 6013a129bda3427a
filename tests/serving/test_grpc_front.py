import concurrent.futures
import contextlib
import gc
import pathlib
import time

import grpc
import pytest
import tensorflow as tf
from google.protobuf.descriptor_pb2 import UninterpretedOption
from tensorflow_serving.apis import (
    model_pb2,
    model_service_pb2,
    predict_pb2,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
)

from serving.batching import Batched
from serving.call import Observer
from serving.grpc_async import GrpcServer
from serving.grpc_front import FrontPredictionService
from serving.metrics import Metrics
from serving.models import Models
from serving.versions import Model, State, Version
from serving.workers import Workers

DEADLINE_S = 20
SERVICE = prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"]
MODEL_SERVICE = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"]


class Unwritable:
    """Answers with what cannot be serialized, since it lacks required fields."""

    def GetModelStatus(self, request, context):
        return UninterpretedOption.NamePart()

    async def HandleReloadConfigRequest(self, request, context):
        return UninterpretedOption.NamePart()


class Front:
    """A `GrpcFront` on a free port, with one model `m` and a worker to run it."""

    def __init__(self, port, model):
        self.model, self.metrics = model, Metrics()
        self.workers = Workers(1)
        self.is_stopped = False
        models = Models()
        self.version = Version("m", 1, pathlib.Path(), State.AVAILABLE, Batched(self.model, self.workers))
        models.by_name["m"] = Model(None, {1: self.version})
        models.by_name["caf\udce9"] = Model(None, {1: self.version})  # as the system gives a name that is no UTF-8
        self.server = GrpcServer(1, ())
        self.server.add_front(f"127.0.0.1:{port}")
        self.server.fronts[0].add_service(SERVICE, FrontPredictionService(models, Observer(self.metrics)))
        self.server.fronts[0].add_service(MODEL_SERVICE, Unwritable())
        self.server.start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.max_receive_message_length", -1)])
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)

    def ask(self, text):
        return self.answer(self.stub.Predict(request(text), timeout=DEADLINE_S))

    def begin(self, text="wait", timeout=DEADLINE_S):
        """Returns once the model has begun."""
        call = self.stub.Predict.future(request(text), timeout=timeout)
        assert self.model.has_begun.wait(DEADLINE_S)
        return call

    def answer(self, response):
        return response.outputs["text"].string_val[0]

    def stop(self):
        self.is_stopped = True
        self.server.stop(DEADLINE_S)

    def close(self):
        self.model.may_end.set()
        self.channel.close()
        if not self.is_stopped:
            self.stop()
        self.workers.close()


@pytest.fixture
def front(free_port, shouter):
    with contextlib.closing(Front(free_port(), shouter)) as front:
        yield front


def request(*texts):
    proto = predict_pb2.PredictRequest()
    proto.model_spec.name = "m"
    proto.inputs["text"].CopyFrom(tf.make_tensor_proto(list(texts)))
    return proto


def refusal(call):
    with pytest.raises(grpc.RpcError) as refused:
        call()
    return refused.value.code().name, refused.value.details()


def eventually(front, read, wanted):
    """Asks until it is so; the streams of a connection may overtake one another."""
    deadline_s = time.monotonic() + DEADLINE_S
    while (found := read()) != wanted:
        assert time.monotonic() < deadline_s, found
        refusal(lambda: front.stub.Predict(predict_pb2.PredictRequest()))


def counted(front, code):
    page = front.metrics.page().decode().splitlines()
    line = f':tensorflow:serving:request_count{{model_name="m",status="{code}"}} '
    return next((float(found.removeprefix(line)) for found in page if found.startswith(line)), 0.0)


def test_each_of_many_callers_gets_its_own_answer(front):
    words = [f"word {number}" for number in range(500)]
    with concurrent.futures.ThreadPoolExecutor(16) as callers:
        assert list(callers.map(front.ask, words)) == [word.upper().encode() for word in words]


def test_messages_far_beyond_grpcs_default_limit_pass_both_ways(front):
    long = "a" * 10_000_000
    assert front.ask(long) == long.upper().encode()


def test_compressed_requests_are_understood(front):
    response = front.stub.Predict(request("z" * 1000), timeout=DEADLINE_S, compression=grpc.Compression.Gzip)
    assert front.answer(response) == b"Z" * 1000


def test_deflated_requests_are_refused_with_a_sentence(front):
    deflate = grpc.Compression.Deflate
    code, told = refusal(lambda: front.stub.Predict(request("z" * 1000), timeout=DEADLINE_S, compression=deflate))
    assert code == "UNIMPLEMENTED" and "deflate" in told


@pytest.mark.parametrize("method", ["GetModelStatus", "HandleReloadConfigRequest"])
def test_answer_that_cannot_be_written_is_internal_and_the_server_lives_on(front, method):
    ask = front.channel.unary_unary(f"/tensorflow.serving.ModelService/{method}")
    code, told = refusal(lambda: ask(b"", timeout=DEADLINE_S))
    assert code == "INTERNAL" and told.startswith("EncodeError")
    assert front.ask("on") == b"ON"


def test_what_is_no_message_is_refused_and_the_server_lives_on(front):
    predict = front.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    assert refusal(lambda: predict(b"\xff", timeout=DEADLINE_S)) == ("INTERNAL", "Exception deserializing request!")
    assert front.ask("on") == b"ON"


def test_fault_in_the_server_is_internal_and_it_lives_on(front):
    assert refusal(lambda: front.ask("bug")) == ("INTERNAL", "ValueError: a bug")
    assert front.ask("on") == b"ON"


def test_answered_request_is_let_go_without_the_garbage_collector(front):
    gc.disable()
    try:
        front.ask("first")
        front.ask("second")  # by the same thread, which is then done with the first
        assert front.model.taken[0]() is None
    finally:
        gc.enable()


def test_unknown_method_is_unimplemented(front):
    predict = front.channel.unary_unary("/tensorflow.serving.PredictionService/Guess")
    assert refusal(lambda: predict(b"", timeout=DEADLINE_S))[0] == "UNIMPLEMENTED"


def test_deadline_is_told_and_counted_while_the_model_still_runs(front):
    call = front.begin(timeout=1)
    assert refusal(call.result)[0] == "DEADLINE_EXCEEDED"
    eventually(front, lambda: counted(front, "DEADLINE_EXCEEDED"), 1)


def test_call_whose_caller_has_left_is_not_run(front):
    first = front.begin()
    gone, staying = (front.stub.Predict.future(request(text), timeout=DEADLINE_S) for text in ("gone", "staying"))
    eventually(front, lambda: front.version.in_flight, 3)
    gone.cancel()
    eventually(front, lambda: counted(front, "CANCELLED"), 1)
    front.model.may_end.set()
    assert [front.answer(call.result()) for call in (first, staying)] == [b"WAIT", b"STAYING"]
    assert b"gone" not in front.model.ran


def test_stop_refuses_new_calls_and_finishes_those_in_flight(front):
    call = front.begin()
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        stopped = threads.submit(front.stop)
        while (told := refusal(lambda: front.stub.Predict(predict_pb2.PredictRequest())))[0] == "INVALID_ARGUMENT":
            """The stop has not begun."""
        assert told == ("UNAVAILABLE", "The server is stopping.")
        assert not stopped.done()
        front.model.may_end.set()
        assert front.answer(call.result()) == b"WAIT"
        stopped.result(DEADLINE_S)


def test_refusal_that_names_what_is_no_utf8_is_told(front):
    unknown = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name="other"))
    code, message = refusal(lambda: front.stub.Predict(unknown, timeout=DEADLINE_S))
    assert (code, message.split(". ")[1]) == ("NOT_FOUND", "Models served: caf?, m.")
    assert front.ask("hello") == b"HELLO"
