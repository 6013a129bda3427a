"""What an operator relies on: metrics, request logs, health, TLS, warm-up, config files, sockets, other clients."""

import json
import pathlib
import ssl
import threading

import grpc
import httpx
import numpy as np
import ovmsclient
import pytest
import tensorflow as tf
import trustme
from google.protobuf import text_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from serving import grpc_services
from serving.call import Observer
from serving.errors import Code, ServingError
from serving.flags import Flags
from serving.grpc_async import GrpcServer
from serving.metrics import Metrics
from serving.repository import Options, Repository
from serving.tensorflow_session import session_config
from serving.versions import Version

DEADLINE_S = 20


def rest(server):
    return f"http://localhost:{server.flags.rest_api_port}"


def ask(server, name, x=(1.0,), path=""):
    url = f"{rest(server)}/v1/models/{name}{path}:predict"
    return httpx.post(url, json={"instances": list(x)}, timeout=DEADLINE_S)


def ask_grpc(channel, name, x=(1.0,)):
    request = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name=name))
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array(x, np.float32)))
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    return tf.make_ndarray(stub.Predict(request, timeout=DEADLINE_S).outputs["y"]).tolist()


@pytest.fixture(scope="module")
def monitored(start_server, saved_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("monitored")
    (folder / "monitoring.config").write_text('prometheus_config { enable: true, path: "/metrics" }')
    flags = {
        "model_name": "m",
        "model_base_path": saved_model("m", 3),
        "monitoring_config_file": str(folder / "monitoring.config"),
        "request_log": str(folder / "requests.jsonl"),
        "enable_grpc_healthcheck_service": True,
        "enable_grpc_reflection": True,
        "grpc_socket_path": str(folder / "grpc.sock"),
    }
    with start_server(**flags) as server:
        yield server


def samples(server):
    lines = httpx.get(f"{rest(server)}/metrics").text.splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


@pytest.mark.parametrize(
    "sample",
    [
        ':tensorflow:serving:request_count{model_name="m",status="OK"}',
        ':tensorflow:serving:request_latency_count{API="predict",entrypoint="REST",model_name="m"}',
        ':tensorflow:serving:request_latency_count{API="Predict",entrypoint="GRPC",model_name="m"}',
        ':tensorflow:serving:runtime_latency_count{API="Predict",model_name="m",runtime="TF1"}',
        ':tensorflow:serving:request_example_counts_count{model="m"}',
        ':tensorflow:serving:request_example_count_total{model="m"}',
        'convzoo_requests_total{api="predict",code="OK",entrypoint="REST",model_name="m",'
        'signature_name="serving_default",version="3"}',
        'convzoo_load_seconds{model_name="m",version="3"}',
    ],
)
def test_metrics_have_the_contracts_names_and_label_sets(monitored, sample):
    with grpc.insecure_channel(f"localhost:{monitored.flags.port}") as channel:
        ask_grpc(channel, "m")
    ask(monitored, "m")
    assert float(samples(monitored)[sample]) > 0


def test_requests_are_counted_and_refusals_by_their_status(monitored):
    ok, bad = (f':tensorflow:serving:request_count{{model_name="m",status="{s}"}}' for s in ("OK", "INVALID_ARGUMENT"))
    before = samples(monitored)
    ask(monitored, "m")
    ask(monitored, "m", ["no number"])
    after = samples(monitored)
    assert float(after[ok]) - float(before.get(ok, 0)) == 1
    assert float(after[bad]) - float(before.get(bad, 0)) == 1


def test_asking_for_metadata_is_no_request_to_the_model(monitored):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "m"
    before = samples(monitored)
    with grpc.insecure_channel(f"localhost:{monitored.flags.port}") as channel:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata(request, timeout=DEADLINE_S)
    after = samples(monitored)
    assert {name for name in after if after[name] != before.get(name) and "tensorflow:serving" in name} == set()


def test_latency_buckets_are_the_contracts(monitored):
    ask(monitored, "m")
    prefix = ':tensorflow:serving:request_latency_bucket{API="predict",entrypoint="REST",le="'
    bounds = [float(name[len(prefix) :].split('"')[0]) for name in samples(monitored) if name.startswith(prefix)]
    np.testing.assert_allclose(bounds[:-1], [10 * 1.8**k for k in range(33)])


def test_names_that_nobody_serves_make_no_series(monitored):
    ask(monitored, "made_up_name")
    assert not any("made_up_name" in name for name in samples(monitored))


def test_series_of_a_version_end_with_it():
    metrics = Metrics()
    for version in 1, 2:
        metrics.warmed_up(f"/models/m/{version}", 0.1, 3, Code.OK)
        metrics.load_seconds.labels("m", str(version)).set(1)
        metrics.batch_ran("pool", "m", version, "serving_default", 4, [0.1])
    metrics.forget("m", 1, "/models/m/1")
    page = metrics.page().decode()
    assert 'version="2"' in page and "/models/m/2" in page
    assert 'version="1"' not in page and "/models/m/1" not in page


def test_request_log_tells_who_what_and_how_long_but_no_content(monitored):
    ask(monitored, "m", [123.25])
    ask(monitored, "m", ["no number"])
    with open(monitored.flags.request_log) as file:
        answered, refused = [json.loads(line) for line in file][-2:]
    assert answered.pop("time_s") > 0 and answered.pop("latency_ms") > 0
    assert answered == {
        "entrypoint": "REST",
        "api": "predict",
        "model": "m",
        "version": 3,
        "signature_name": "serving_default",
        "code": "OK",
        "error": None,
        "examples": 1,
        "request_bytes": len(b'{"instances":[123.25]}'),
        "inputs": {"x": ["float32", [1]]},
    }
    assert refused["code"] == "INVALID_ARGUMENT" and refused["error"].startswith("Failed to process element: 0")


def health(channel, service):
    return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=DEADLINE_S)


def test_request_log_that_cannot_be_written_costs_no_answer(start_server, saved_model, caplog):
    with start_server(model_name="m", model_base_path=saved_model(), request_log="/dev/full") as server:
        assert [ask(server, "m").status_code for _ in range(2)] == [200, 200]
    lost = [record.message for record in caplog.records if "are lost" in record.message]
    assert lost == ["Records of requests are lost: [Errno 28] No space left on device."]


def test_request_log_that_cannot_be_opened_ends_the_start(start_server, tmp_path):
    with pytest.raises(ServingError, match=r"--request_log: .* cannot be written to: Not a directory\."):
        (tmp_path / "file").touch()
        with start_server(request_log=str(tmp_path / "file/log"), allow_empty_models=True):
            pass


def test_reload_tells_increases_of_metrics_under_both_spellings(start_server, saved_model, tmp_path):
    base_path = saved_model("m", root=tmp_path)
    write_warmup(base_path, [warmup_record()] * 3)
    names = [f"{mark}tensorflow{mark}serving{mark}model_warmup_records_read" for mark in "/:"]
    request = model_management_pb2.ReloadConfigRequest(metric_names=names)
    text_format.Parse(config_text(("m", base_path, "")), request.config)
    with start_server(allow_empty_models=True) as server:
        with grpc.insecure_channel(f"localhost:{server.flags.port}") as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            response = stub.HandleReloadConfigRequest(request, timeout=DEADLINE_S)
    assert [(metric.name, metric.int64_value_increase) for metric in response.metric] == [(name, 3) for name in names]


def test_health_is_told_while_calls_wait_for_the_models(free_port):
    """A version's change is told under the models' lock, for which calls in gRPC's event loop may be waiting."""
    repository = Repository(lambda *_: None, Options(file_system_poll_wait_seconds=-1))
    server = GrpcServer(1, ())
    flags = Flags(enable_grpc_healthcheck_service=True)
    on_change = grpc_services.add(
        server, flags, repository.models, Observer(Metrics()), lambda: True, repository.replace
    )
    waits, told = threading.Event(), threading.Event()

    async def wait_for_the_models():
        waits.set()
        with repository.models.changed:
            pass

    def change():
        with repository.models.changed:
            server.schedule(wait_for_the_models())
            assert waits.wait(DEADLINE_S)
            on_change(Version("m", 1, pathlib.Path()))
        told.set()

    threading.Thread(target=change, daemon=True).start()
    assert told.wait(DEADLINE_S)
    server.start()
    server.stop(0)
    repository.stop()


@pytest.mark.parametrize("service", ["", "m", "PredictionService", "ModelService"])
def test_grpc_health_knows_the_server_its_services_and_its_models(monitored, service):
    with grpc.insecure_channel(f"localhost:{monitored.flags.port}") as channel:
        assert health(channel, service).status == health_pb2.HealthCheckResponse.SERVING


def test_grpc_health_does_not_know_other_models(monitored):
    with grpc.insecure_channel(f"localhost:{monitored.flags.port}") as channel:
        with pytest.raises(grpc.RpcError) as refused:
            health(channel, "no")
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_model_that_cannot_load_is_neither_healthy_nor_ready(start_server, tmp_path, saved_model):
    saved_model("good", root=tmp_path)
    (tmp_path / "bad/1").mkdir(parents=True)
    (tmp_path / "bad/1/saved_model.pb").write_bytes(b"no protobuf")
    flags = {"models_root": str(tmp_path), "max_num_load_retries": 0, "enable_grpc_healthcheck_service": True}
    with start_server(**flags) as server, grpc.insecure_channel(f"localhost:{server.flags.port}") as channel:
        assert health(channel, "good").status == health_pb2.HealthCheckResponse.SERVING
        assert health(channel, "bad").status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert health(channel, "").status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert health(channel, "ModelService").status == health_pb2.HealthCheckResponse.SERVING
        assert httpx.get(f"{rest(server)}/v1/health/ready").status_code == 503
        assert httpx.get(f"{rest(server)}/v1/health/live").status_code == 200
        assert ask(server, "good").status_code == 200


def test_model_that_comes_and_cannot_load_leaves_the_server_ready(start_server, tmp_path, saved_model, eventually):
    saved_model("good", root=tmp_path / "models")
    flags = {"models_root": str(tmp_path / "models"), "max_num_load_retries": 0}
    with start_server(**flags) as server:
        assert httpx.get(f"{rest(server)}/v1/health/ready").status_code == 200
        (tmp_path / "bad/1").mkdir(parents=True)
        (tmp_path / "bad/1/saved_model.pb").write_bytes(b"no protobuf")
        (tmp_path / "bad").rename(tmp_path / "models/bad")
        eventually(lambda: "END" in httpx.get(f"{rest(server)}/v1/models/bad").text, True)
        assert httpx.get(f"{rest(server)}/v2/models/bad/ready").status_code != 200
        assert httpx.get(f"{rest(server)}/v1/health/ready").status_code == 200


def test_model_that_left_and_comes_back_broken_leaves_the_server_ready(start_server, tmp_path, saved_model, eventually):
    saved_model("good", root=tmp_path / "models")
    saved_model("m", root=tmp_path / "models")
    with start_server(models_root=str(tmp_path / "models"), max_num_load_retries=0) as server:
        (tmp_path / "models/m").rename(tmp_path / "m")
        eventually(lambda: ask(server, "m").status_code, 404)
        (tmp_path / "m/1/saved_model.pb").write_bytes(b"no protobuf")
        (tmp_path / "m").rename(tmp_path / "models/m")
        eventually(lambda: '"error_code": "OK"' in httpx.get(f"{rest(server)}/v1/models/m").text, False)
        assert httpx.get(f"{rest(server)}/v1/health/ready").status_code == 200


def test_reflection_lists_the_services(monitored):
    with grpc.insecure_channel(f"localhost:{monitored.flags.port}") as channel:
        services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"} <= set(services)


def test_unix_socket_answers_beside_the_port(monitored):
    with grpc.insecure_channel(f"unix:{monitored.flags.grpc_socket_path}") as channel:
        assert ask_grpc(channel, "m") == [2.5]


def test_ovmsclient_gets_the_same_answer(monitored):
    client = ovmsclient.make_grpc_client(f"localhost:{monitored.flags.port}")
    assert client.predict(inputs={"x": np.array([1.0], np.float32)}, model_name="m").tolist() == [2.5]
    assert client.get_model_status("m")[3]["state"] == "AVAILABLE"
    assert client.get_model_metadata("m")["inputs"]["x"]["dtype"] == "DT_FLOAT"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def secured(start_server, saved_model, authority, tmp_path_factory):
    certificate = authority.issue_cert("localhost")
    fields = {
        "server_key": certificate.private_key_pem.bytes().decode(),
        "server_cert": certificate.cert_chain_pems[0].bytes().decode(),
        "custom_ca": authority.cert_pem.bytes().decode(),
    }
    path = tmp_path_factory.mktemp("tls") / "ssl.config"
    path.write_text("".join(f"{name}: {json.dumps(text)}\n" for name, text in fields.items()) + "client_verify: true")
    flags = {"ssl_config_file": str(path), "rest_api_enable_tls": True, "grpc_socket_path": f"{path.parent}/grpc.sock"}
    with start_server(model_name="m", model_base_path=saved_model("m", 3), **flags) as server:
        yield server


@pytest.mark.parametrize("more", [{}, {"rest_api_enable_tls": True}])
def test_key_that_is_not_the_certificates_ends_the_start(start_server, authority, tmp_path, more):
    one, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    fields = {
        "server_key": one.private_key_pem.bytes().decode(),
        "server_cert": other.cert_chain_pems[0].bytes().decode(),
    }
    path = tmp_path / "ssl.config"
    path.write_text("".join(f"{name}: {json.dumps(text)}\n" for name, text in fields.items()))
    with pytest.raises(ServingError, match="server_key and server_cert of --ssl_config_file: no PEM that fits"):
        with start_server(ssl_config_file=str(path), allow_empty_models=True, **more):
            pass


@pytest.mark.parametrize("address", ["localhost:{0.port}", "unix:{0.grpc_socket_path}"])
def test_tls_config_secures_grpc(secured, authority, address):
    client = authority.issue_cert("client")
    credentials = grpc.ssl_channel_credentials(
        authority.cert_pem.bytes(), client.private_key_pem.bytes(), client.cert_chain_pems[0].bytes()
    )
    address = address.format(secured.flags)
    named = [("grpc.ssl_target_name_override", "localhost")]
    with grpc.secure_channel(address, credentials, named) as channel:
        assert ask_grpc(channel, "m") == [2.5]
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError):
        ask_grpc(channel, "m")


def test_tls_config_secures_rest(secured, authority):
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    authority.issue_cert("client").configure_cert(context)
    url = f"https://localhost:{secured.flags.rest_api_port}/v1/models/m:predict"
    assert httpx.post(url, json={"instances": [1]}, verify=context).json() == {"predictions": [2.5]}


def test_tls_refuses_a_client_without_a_certificate(secured, authority):
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"https://localhost:{secured.flags.rest_api_port}/v1/models/m", verify=context)


def warmup_record(signature_name="serving_default", x=(1.0,)):
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature_name
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array(x, np.float32)))
    return log.SerializeToString()


def write_warmup(base_path, records):
    folder = f"{base_path}/1/assets.extra"
    tf.io.gfile.makedirs(folder)
    with tf.io.TFRecordWriter(f"{folder}/tf_serving_warmup_requests") as writer:
        for record in records:
            writer.write(record)


def test_warmup_requests_run_before_the_model_is_available(start_server, saved_model, tmp_path):
    base_path = saved_model("m", root=tmp_path)
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = "counted"
    log.predict_log.request.inputs["step"].CopyFrom(tf.make_tensor_proto(np.array([7], np.int64)))
    write_warmup(base_path, [log.SerializeToString(), warmup_record()])
    with start_server(model_name="m", model_base_path=base_path, num_request_iterations_for_warmup=3) as server:
        body = {"signature_name": "counted", "inputs": [0]}
        count = httpx.post(f"{rest(server)}/v1/models/m:predict", json=body, timeout=DEADLINE_S).json()
    assert count == {"outputs": [21]}


@pytest.mark.parametrize(
    "records, message",
    [
        ([warmup_record("no_such_signature")], "no_such_signature"),
        ([b"no PredictionLog at all"], "is not a TFRecord file of PredictionLog"),
        ([prediction_log_pb2.PredictionLog().SerializeToString()], "Unsupported log_type for warmup"),
        ([warmup_record()] * 1001, "exceeds the maximum"),
    ],
)
def test_bad_warmup_record_is_a_failed_load(start_server, saved_model, tmp_path, records, message):
    base_path = saved_model("m", root=tmp_path)
    write_warmup(base_path, records)
    with pytest.raises(ServingError, match=message):
        with start_server(model_name="m", model_base_path=base_path, max_num_load_retries=0):
            pass


def config_text(*models):
    entry = 'config {{ name: "{}" base_path: "{}" model_platform: "tensorflow" {} }}'
    return "model_config_list { " + " ".join(entry.format(*model) for model in models) + " }"


def test_model_config_file_serves_its_models_with_labels_and_policies(start_server, saved_model, tmp_path):
    for version, b in ((1, 1.0), (2, 2.0), (3, 3.0)):
        base_path = saved_model("one", version, b=b, root=tmp_path)
    labels = (
        "model_version_policy { specific { versions: 1 versions: 2 } }"
        'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }'
    )
    path = tmp_path / "models.config"
    path.write_text(config_text(("one", base_path, labels), ("two", saved_model("two", root=tmp_path), "")))
    with start_server(model_config_file=str(path)) as server:
        assert ask(server, "one", path="/labels/stable").json() == {"predictions": [1.5]}
        assert ask(server, "one", path="/labels/canary").json() == {"predictions": [2.5]}
        assert ask(server, "one").json() == {"predictions": [2.5]}
        assert ask(server, "one", path="/versions/3").status_code == 404
        assert ask(server, "two").json() == {"predictions": [2.5]}


def test_model_config_file_is_followed(start_server, saved_model, tmp_path, eventually):
    path = tmp_path / "models.config"
    path.write_text(config_text(("one", saved_model("one", root=tmp_path), "")))
    with start_server(model_config_file=str(path), model_config_file_poll_wait_seconds=1) as server:
        path.write_text(config_text(("two", saved_model("two", root=tmp_path), "")))
        eventually(lambda: ask(server, "two").status_code, 200)
        path.write_text("no config at all {")
        assert ask(server, "two").status_code == 200
        path.write_text("# a file that is being written")
        server.reload(None)
        assert ask(server, "two").status_code == 200


def test_config_file_is_followed_while_a_model_of_it_is_not_there(start_server, saved_model, tmp_path, eventually):
    path = tmp_path / "models.config"
    one = ("one", saved_model("one", root=tmp_path), "")
    path.write_text(config_text(one))
    with start_server(model_config_file=str(path), model_config_file_poll_wait_seconds=1) as server:
        path.write_text(config_text(one, ("typo", str(tmp_path / "tow"), "")))
        eventually(lambda: "typo" in server.repository.models.by_name, True)
        path.write_text(config_text(one, ("two", saved_model("two", root=tmp_path), "")))
        eventually(lambda: ask(server, "two").status_code, 200)


def test_bad_model_config_file_ends_the_start_in_the_contracts_words(start_server, tmp_path):
    path = tmp_path / "models.config"
    path.write_text("model_config_list { config { nme: 1 } }")
    with pytest.raises(ServingError, match="Error parsing text-format tensorflow.serving.ModelServerConfig") as refused:
        with start_server(model_config_file=str(path)):
            pass
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert f"{path}:1:" in refused.value.message


def test_session_config_file_is_tensorflows_and_the_parallelism_flags_go_before_it(start_server, saved_model, tmp_path):
    path = tmp_path / "session.config"
    path.write_text("operation_timeout_in_ms: 60000\nintra_op_parallelism_threads: 3\ninter_op_parallelism_threads: 2")
    given = {"tensorflow_session_config_file": str(path), "tensorflow_intra_op_parallelism": 1}
    with start_server(model_base_path=saved_model("default"), **given) as server:
        config = session_config(server.flags.engine_options())
    assert (config.operation_timeout_in_ms, config.intra_op_parallelism_threads) == (60000, 1)
    assert config.inter_op_parallelism_threads == 2


@pytest.mark.parametrize("enable", [True, False])
def test_batching_file_of_a_version_counts_where_batching_is_on(start_server, saved_model, tmp_path, enable):
    path = saved_model("m", root=tmp_path)
    (tmp_path / "m/1/batching_params.pbtxt").write_text("max_batch_size { value: 2 }")
    flags = {"enable_batching": enable, "enable_per_model_batching_parameters": True}
    with start_server(model_name="m", model_base_path=str(path), **flags) as server:
        assert ask(server, "m", (1.0, 2.0, 3.0)).status_code == (400 if enable else 200)


def test_rest_timeout_of_0_is_none(start_server, saved_model):
    with start_server(model_name="m", model_base_path=saved_model("m", 3), rest_api_timeout_in_ms=0) as server:
        assert ask(server, "m").status_code == 200
        assert httpx.get(f"{rest(server)}/metrics").status_code == 200


def test_bad_session_config_file_ends_the_start(start_server, tmp_path):
    path = tmp_path / "session.config"
    path.write_text("intra_op_paralelism_threads: 3")
    with pytest.raises(ServingError, match="Did you mean "):
        with start_server(tensorflow_session_config_file=str(path)):
            pass


def test_empty_models_are_allowed_with_the_flag(start_server):
    with start_server(allow_empty_models=True) as server:
        assert httpx.get(f"{rest(server)}/v1/models").json() == {"models": []}
        assert ask(server, "m").status_code == 404


def test_model_may_come_after_the_start_with_the_flag(start_server, saved_model, tmp_path, eventually):
    base_path = tmp_path / "late"
    base_path.mkdir()
    with start_server(model_name="late", model_base_path=str(base_path), allow_empty_models=True) as server:
        assert httpx.get(f"{rest(server)}/v1/health/ready").status_code == 503
        saved_model("late", root=tmp_path / "elsewhere")
        (tmp_path / "elsewhere/late/1").rename(base_path / "1")
        eventually(lambda: ask(server, "late").status_code, 200)
        assert httpx.get(f"{rest(server)}/v1/health/ready").status_code == 200


def test_method_name_is_checked_with_the_flag(start_server, saved_model):
    flags = {"model_name": "m", "model_base_path": saved_model("m", 3), "enable_signature_method_name_check": True}
    body = {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]}
    with start_server(**flags) as server:
        response = httpx.post(f"{rest(server)}/v1/models/m:regress", json=body)
    assert response.status_code == 400
    assert response.json()["error"].startswith(
        "Expected regression signature method_name to be tensorflow/serving/regress. Was: tensorflow/serving/predict"
    )
