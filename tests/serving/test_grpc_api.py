"""The gRPC contract, spoken with the stock stubs over a real socket; one row of its table, one test."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import wrappers_pb2
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

DEADLINE_S = 20


class Stubs:
    def __init__(self, channel):
        self.predict = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(channel)


@pytest.fixture(scope="module")
def on_grpcio(start_server, saved_model):
    """A server whose port is gRPC's own, as it is with TLS or with arguments for it."""
    flags = {"model_name": "half_plus_two", "grpc_channel_arguments": "grpc.max_concurrent_streams=100"}
    with start_server(model_base_path=saved_model(), **flags) as server:
        yield server


@pytest.fixture(scope="module", params=["half_plus_two", "on_grpcio"])
def stubs(request):
    server = request.getfixturevalue(request.param)
    with grpc.insecure_channel(f"localhost:{server.flags.port}") as channel:
        yield Stubs(channel)


def spec(signature_name="", name="half_plus_two", version=None, label=None):
    proto = model_pb2.ModelSpec(name=name, signature_name=signature_name)
    if version is not None:
        proto.version.value = version
    if label is not None:
        proto.version_label = label
    return proto


def predict_request(model_spec, output_filter=(), **inputs):
    request = predict_pb2.PredictRequest(model_spec=model_spec, output_filter=output_filter)
    for name, value in inputs.items():
        proto = value if isinstance(value, TensorProto) else tf.make_tensor_proto(value)
        request.inputs[name].CopyFrom(proto)
    return request


def f32(values):
    return np.array(values, np.float32)


def examples(*values):
    proto = input_pb2.Input()
    for value in values:
        example = proto.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(value)
    return proto


def refusal(call, request):
    with pytest.raises(grpc.RpcError) as refused:
        call(request, timeout=DEADLINE_S)
    return refused.value.code().name, refused.value.details()


def test_predict_answers_and_echoes_the_resolved_version(stubs):
    response = stubs.predict.Predict(predict_request(spec(), x=f32([1, 2, 5])), timeout=DEADLINE_S)
    assert tf.make_ndarray(response.outputs["y"]).tolist() == [2.5, 3.0, 4.5]
    assert response.model_spec == model_pb2.ModelSpec(
        name="half_plus_two", signature_name="serving_default", version=wrappers_pb2.Int64Value(value=1)
    )


def test_predict_answers_in_typed_fields(stubs):
    response = stubs.predict.Predict(predict_request(spec(), x=f32([1])), timeout=DEADLINE_S)
    assert list(response.outputs["y"].float_val) == [2.5]
    assert not response.outputs["y"].tensor_content


def test_predict_takes_typed_fields_as_well_as_content(stubs):
    proto = TensorProto(dtype=1, float_val=[1, 2])
    proto.tensor_shape.dim.add(size=2)
    response = stubs.predict.Predict(predict_request(spec(), x=proto), timeout=DEADLINE_S)
    assert tf.make_ndarray(response.outputs["y"]).tolist() == [2.5, 3.0]


@pytest.mark.parametrize(
    "signature, inputs, expected",
    [
        ("pair", {"a": f32([[1, 2]]), "b": np.array([3], np.int32)}, {"sum": [6.0], "twice": [6]}),
        ("text", {"text": [b"a\xff"]}, {"upper": [b"A\xff"], "raw_bytes": [b"a\xff"]}),
        ("scalar", {"x": np.float32(4)}, {"y": 4.0}),
        ("named", {"x": np.array([1, 0, 7])}, {"name": [b"odd", b"even", b"none"]}),
        ("half", {"x": np.array([3], np.float16)}, {"y": [1.5]}),
        ("image", {"images": np.full([1, 4, 4, 3], 7, np.uint8)}, {"mean": [[7.0, 7.0, 7.0]]}),
    ],
)
def test_predict_runs_every_kind_of_signature(stubs, signature, inputs, expected):
    response = stubs.predict.Predict(predict_request(spec(signature), **inputs), timeout=DEADLINE_S)
    assert {name: tf.make_ndarray(proto).tolist() for name, proto in response.outputs.items()} == expected


def test_output_filter_limits_the_answer(stubs):
    request = predict_request(spec("pair"), ["twice"], a=f32([[1, 2]]), b=np.array([3], np.int32))
    assert list(stubs.predict.Predict(request, timeout=DEADLINE_S).outputs) == ["twice"]


@pytest.mark.parametrize(
    "request_, code, message",
    [
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (predict_request(spec(name="")), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (predict_request(spec(name="no")), "NOT_FOUND", "Servable not found for request: Latest(no)"),
        (
            predict_request(spec(version=9)),
            "NOT_FOUND",
            "Servable not found for request: Specific(half_plus_two, 9)",
        ),
        (predict_request(spec(label="L")), "INVALID_ARGUMENT", "Unrecognized servable version label: L"),
        (predict_request(spec("S")), "FAILED_PRECONDITION", 'Serving signature key "S" not found.'),
        (
            predict_request(spec("scalar"), x=np.float32(1), b=np.float32(1)),
            "INVALID_ARGUMENT",
            "input size does not match signature: 2!=1 len({b,x}) != len({x}). Sent extra: {b}. "
            "Missing but required: {}.",
        ),
        (
            predict_request(spec()),
            "INVALID_ARGUMENT",
            "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
        ),
        (
            predict_request(spec(), z=f32([1])),
            "INVALID_ARGUMENT",
            "Signature input alias: x(feed name: ",
        ),
        (
            predict_request(spec(), x=["text"]),
            "INVALID_ARGUMENT",
            "Expects arg[0] to be float but string is provided",
        ),
        (
            predict_request(spec(), x=TensorProto(dtype=1, tensor_content=b"123")),
            "INVALID_ARGUMENT",
            "tensor parsing error: x",
        ),
        (
            predict_request(spec(), ["q"], x=f32([1])),
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: q Outputs expected to be in the set {y}.",
        ),
        (predict_request(spec(), ["y", "y"], x=f32([1])), "INVALID_ARGUMENT", "duplicate output tensor alias: y"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_predict_refuses_in_the_contracts_words(stubs, request_, code, message):
    refused_code, refused_message = refusal(stubs.predict.Predict, request_)
    assert refused_code == code
    assert refused_message.startswith(message)


def test_shapes_are_refused_by_the_graph_and_the_server_lives_on(stubs):
    request = predict_request(spec("pair"), a=f32([[1, 2], [3, 4]]), b=np.array([1, 2, 3], np.int32))
    assert refusal(stubs.predict.Predict, request)[0] == "INVALID_ARGUMENT"
    test_predict_answers_in_typed_fields(stubs)


def test_long_messages_are_cut(stubs):
    code, message = refusal(stubs.predict.Predict, predict_request(spec(name="n" * 2000)))
    assert code == "NOT_FOUND"
    assert len(message) == 1024 + len("...TRUNCATED") and message.endswith("...TRUNCATED")


def test_long_messages_in_other_scripts_are_cut_as_bytes(stubs):
    """Each of these takes twelve bytes in a trailer, and clients refuse trailers of more than 8 KB."""
    code, message = refusal(stubs.predict.Predict, predict_request(spec(name="\N{CAT FACE}" * 1100)))
    assert code == "NOT_FOUND"
    assert len(message.encode()) <= 1024 + len("...TRUNCATED") and message.endswith("...TRUNCATED")


def test_classify_gives_labels_and_scores(stubs):
    request = classification_pb2.ClassificationRequest(model_spec=spec("classify_x_to_y"), input=examples(2.0))
    response = stubs.predict.Classify(request, timeout=DEADLINE_S)
    classes = response.result.classifications[0].classes
    assert [(c.label, c.score) for c in classes] == [("one", 3.0), ("two", 6.0)]
    assert response.model_spec.version.value == 1


def test_regress_gives_a_value_an_example(stubs):
    request = regression_pb2.RegressionRequest(model_spec=spec("regress_x_to_y"), input=examples(2.0, 4.0))
    response = stubs.predict.Regress(request, timeout=DEADLINE_S)
    assert [regression.value for regression in response.result.regressions] == [3.0, 4.0]


def test_examples_share_their_context(stubs):
    request = regression_pb2.RegressionRequest(model_spec=spec("regress_x_to_y"))
    request.input.example_list_with_context.context.features.feature["x"].float_list.value.append(2.0)
    request.input.example_list_with_context.examples.add()
    response = stubs.predict.Regress(request, timeout=DEADLINE_S)
    assert [regression.value for regression in response.result.regressions] == [3.0]


@pytest.mark.parametrize(
    "signature, input_, message",
    [
        ("S", examples(1.0), "No signature was found with the name: S"),
        ("regress_x_to_y", input_pb2.Input(), "Input is empty."),
        ("serving_default", examples(1.0), "Expected signature inputs to be exactly"),
    ],
)
def test_regress_refuses_in_the_contracts_words(stubs, signature, input_, message):
    request = regression_pb2.RegressionRequest(model_spec=spec(signature), input=input_)
    code, refused_message = refusal(stubs.predict.Regress, request)
    assert code == "INVALID_ARGUMENT"
    assert refused_message.startswith(message)


def multi(*tasks):
    request = inference_pb2.MultiInferenceRequest(input=examples(2.0))
    for signature, method in tasks:
        request.tasks.add(model_spec=spec(signature), method_name=f"tensorflow/serving/{method}")
    return request


def test_multi_inference_runs_each_task_on_the_same_examples(stubs):
    request = multi(("regress_x_to_y", "regress"), ("classify_x_to_y", "classify"))
    regressed, classified = stubs.predict.MultiInference(request, timeout=DEADLINE_S).results
    assert regressed.regression_result.regressions[0].value == 3.0
    assert classified.classification_result.classifications[0].classes[1].score == 6.0
    assert (regressed.model_spec.signature_name, regressed.model_spec.version.value) == ("regress_x_to_y", 1)


def test_first_task_of_a_multi_inference_says_which_version(stubs):
    request = multi(("regress_x_to_y", "regress"), ("classify_x_to_y", "classify"))
    request.tasks[0].model_spec.version.value = 1
    assert len(stubs.predict.MultiInference(request, timeout=DEADLINE_S).results) == 2


@pytest.mark.parametrize(
    "request_, code, message",
    [
        (multi(("S", "regress")), "INVALID_ARGUMENT", "Requested signature not found in model graph: S"),
        (multi(("regress_x_to_y", "predict")), "UNIMPLEMENTED", "Unsupported signature method_name"),
        (multi(*[("regress_x_to_y", "regress")] * 2), "INVALID_ARGUMENT", "Duplicate evaluation of signature"),
    ],
)
def test_multi_inference_refuses_in_the_contracts_words(stubs, request_, code, message):
    refused_code, refused_message = refusal(stubs.predict.MultiInference, request_)
    assert refused_code == code
    assert refused_message.startswith(message)


def test_metadata_holds_the_signatures_and_the_version(stubs):
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec(), metadata_field=["signature_def"])
    response = stubs.predict.GetModelMetadata(request, timeout=DEADLINE_S)
    assert (response.model_spec.name, response.model_spec.version.value) == ("half_plus_two", 1)
    assert not response.model_spec.signature_name
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["serving_default"].inputs["x"].dtype == tf.float32.as_datatype_enum
    assert "__saved_model_init_op" in signatures.signature_def


@pytest.mark.parametrize(
    "fields, message",
    [
        ([], "GetModelMetadataRequest must specify at least one metadata_field"),
        (["F"], "Metadata field F is not supported"),
    ],
)
def test_metadata_refuses_in_the_contracts_words(stubs, fields, message):
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec(), metadata_field=fields)
    assert refusal(stubs.predict.GetModelMetadata, request) == ("INVALID_ARGUMENT", message)


def test_status_says_available(stubs):
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec())
    (status,) = stubs.models.GetModelStatus(request, timeout=DEADLINE_S).model_version_status
    assert (status.version, status.state, status.status.error_code) == (
        1,
        get_model_status_pb2.ModelVersionStatus.AVAILABLE,
        0,
    )


@pytest.mark.parametrize(
    "model_spec, message",
    [
        (spec(name="no"), "Could not find any versions of model no"),
        (spec(version=9), "Could not find version 9 of model half_plus_two"),
    ],
)
def test_status_of_the_unknown_is_not_found(stubs, model_spec, message):
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=model_spec)
    assert refusal(stubs.models.GetModelStatus, request) == ("NOT_FOUND", message)


def test_status_looks_past_a_label(stubs):
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec(label="no such label"))
    assert len(stubs.models.GetModelStatus(request, timeout=DEADLINE_S).model_version_status) == 1


def test_reload_replaces_the_models_and_counts_what_it_is_asked_to(start_server, saved_model):
    one, two = saved_model("one"), saved_model("two", a=2.0)
    with start_server(model_name="one", model_base_path=one) as server:
        with grpc.insecure_channel(f"localhost:{server.flags.port}") as channel:
            stubs = Stubs(channel)
            request = model_management_pb2.ReloadConfigRequest(metric_names=[":tensorflow:serving:request_count"])
            request.config.model_config_list.config.add(name="two", base_path=two, model_platform="tensorflow")
            response = stubs.models.HandleReloadConfigRequest(request, timeout=DEADLINE_S)
            assert response.status.error_code == 0
            assert [(metric.name, metric.int64_value_increase) for metric in response.metric] == [
                (":tensorflow:serving:request_count", 0)
            ]
            answer = stubs.predict.Predict(predict_request(spec(name="two"), x=f32([1])), timeout=DEADLINE_S)
            assert tf.make_ndarray(answer.outputs["y"]).tolist() == [4.0]
            code, _ = refusal(stubs.predict.Predict, predict_request(spec(name="one"), x=f32([1])))
            assert code == "NOT_FOUND"


def reload_request(**config):
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(**{"name": "m", "model_platform": "tensorflow", **config})
    return request


@pytest.mark.parametrize(
    "request_, code, message",
    [
        (
            model_management_pb2.ReloadConfigRequest(),
            "INVALID_ARGUMENT",
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported",
        ),
        (
            reload_request(base_path="relative"),
            "INVALID_ARGUMENT",
            "Expected model m to have an absolute path or URI; got base_path()=relative",
        ),
        (
            reload_request(base_path="/m", model_platform=""),
            "INVALID_ARGUMENT",
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform, model name is m",
        ),
    ],
)
def test_reload_refuses_in_the_contracts_words_and_changes_nothing(stubs, request_, code, message):
    refused_code, refused_message = refusal(stubs.models.HandleReloadConfigRequest, request_)
    assert refused_code == code
    assert refused_message.startswith(message)
    test_predict_answers_in_typed_fields(stubs)
