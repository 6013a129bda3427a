"""The REST contract over a real socket with plain HTTP; one row of its table, one test."""

import base64
import gzip
import io
import socket

import httpx
import numpy as np
import PIL.Image
import pytest

MODEL = "/v1/models/half_plus_two"


@pytest.fixture(scope="module")
def http(half_plus_two):
    with httpx.Client(base_url=f"http://localhost:{half_plus_two.flags.rest_api_port}", timeout=20) as client:
        yield client


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


@pytest.mark.parametrize(
    "body, expected",
    [
        ({"instances": [1.0, 2.0, 5.0]}, {"predictions": [2.5, 3.0, 4.5]}),
        ({"instances": [{"x": 1}, {"x": 2}]}, {"predictions": [2.5, 3.0]}),
        ({"inputs": [1.0, 2.0]}, {"outputs": [2.5, 3.0]}),
        ({"inputs": {"x": [1.0]}}, {"outputs": [2.5]}),
        ({"inputs": {"x": [1.0], "nobody": 7}}, {"outputs": [2.5]}),
        ({"signature_name": "scalar", "inputs": 4}, {"outputs": 4.0}),
        (
            {"signature_name": "pair", "instances": [{"a": [1, 2], "b": 3}, {"a": [0, 0], "b": 1}]},
            {"predictions": [{"sum": 6.0, "twice": 6}, {"sum": 1.0, "twice": 2}]},
        ),
        (
            {"signature_name": "pair", "inputs": {"a": [[1, 2]], "b": [3]}},
            {"outputs": {"sum": [6.0], "twice": [6]}},
        ),
        (
            {"signature_name": "text", "instances": ["ab", b64(b"cd")]},
            {"predictions": [{"upper": "AB", "raw_bytes": b64(b"ab")}, {"upper": "CD", "raw_bytes": b64(b"cd")}]},
        ),
        ({"signature_name": "half", "instances": [3]}, {"predictions": [1.5]}),
    ],
)
def test_predict_answers_in_the_form_it_was_asked(http, body, expected):
    response = http.post(f"{MODEL}:predict", json=body)
    assert response.json() == expected
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"


def test_predict_body_is_the_documented_one_to_the_byte(http):
    response = http.post(f"{MODEL}:predict", json={"instances": [1.0, 2.0, 5.0]})
    assert response.text == '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'


@pytest.mark.parametrize("path", ["/versions/1", "", "/VERSIONS/1"])
def test_predict_takes_a_version(http, path):
    assert http.post(f"{MODEL}{path}:predict", json={"instances": [1]}).json() == {"predictions": [2.5]}


def test_dispatch_ignores_case_and_content_type(http):
    response = http.post("/V1/Models/half_plus_two:Predict", content=b'{"instances": [1]}')
    assert response.json() == {"predictions": [2.5]}


def test_nan_and_infinity_pass_as_bare_words(http):
    response = http.post(f"{MODEL}:predict", content=b'{"instances": [NaN, Infinity, -Infinity]}')
    assert response.text == '{\n    "predictions": [NaN, Infinity, -Infinity\n    ]\n}'


def test_bytes_after_the_first_value_are_ignored(http):
    assert http.post(f"{MODEL}:predict", content=b'{"instances": [1]} and more').json() == {"predictions": [2.5]}


def test_gzip_request_of_several_members_is_inflated(http):
    body = gzip.compress(b'{"instances"') + gzip.compress(b": [1]}")
    response = http.post(f"{MODEL}:predict", content=body, headers={"Content-Encoding": "gzip"})
    assert response.json() == {"predictions": [2.5]}


def test_gzip_request_of_many_members_costs_no_more_than_its_bytes(http):
    body = gzip.compress(b" " * 50_000_000) + gzip.compress(b" ") * 400 + gzip.compress(b'{"instances": [1]}')
    response = http.post(f"{MODEL}:predict", content=body, headers={"Content-Encoding": "gzip"}, timeout=10)
    assert response.json() == {"predictions": [2.5]}


# What Java's HttpClient and `curl --http2` say in the first request of a connection.
OFFER = (
    b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAA\r\nUpgrade: h2c"
)


@pytest.mark.parametrize("arrives", ["whole", "in two", "twice"])
def test_offer_to_upgrade_to_http_2_is_passed_over(half_plus_two, arrives):
    body = b'{"instances": [1]}'
    head = b"POST %s:predict HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n" % (
        MODEL.encode(),
        OFFER,
        len(body),
    )
    with socket.create_connection(("localhost", half_plus_two.flags.rest_api_port), 20) as connection:
        answers = connection.makefile("rb")
        for _ in range(2 if arrives == "twice" else 1):
            connection.sendall(head + (b"" if arrives == "in two" else body))
            if arrives == "in two":
                connection.sendall(body)
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            headers = dict(line.rstrip().split(b": ") for line in iter(answers.readline, b"\r\n"))
            assert b"2.5" in answers.read(int(headers[b"content-length"]))


def test_connect_is_400(half_plus_two):
    with socket.create_connection(("localhost", half_plus_two.flags.rest_api_port), 20) as connection:
        connection.sendall(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_connection_that_is_to_close_is_closed_though_it_offers_an_upgrade(half_plus_two):
    request = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n" % MODEL.encode()
    with socket.create_connection(("localhost", half_plus_two.flags.rest_api_port), 3) as connection:
        connection.sendall(request * 2)  # whatever comes after the first is nobody's
        answer = b"".join(iter(lambda: connection.recv(1000), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_client_that_leaves_during_its_request_is_no_failure(half_plus_two, http, caplog):
    with socket.create_connection(("localhost", half_plus_two.flags.rest_api_port), 20) as connection:
        connection.sendall(
            b"POST %s:predict HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n" % MODEL.encode()
        )
        assert b"100 Continue" in connection.recv(100)
    assert http.get(MODEL).status_code == 200  # the server has come by the end of that connection
    assert "failed inside the server" not in caplog.text


def test_gzip_request_is_inflated_and_the_answer_is_plain(http):
    body = gzip.compress(b'{"instances": [1]}')
    response = http.post(f"{MODEL}:predict", content=body, headers={"Content-Encoding": "gzip"})
    assert response.json() == {"predictions": [2.5]}
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize(
    "body", [b"not gzip at all", gzip.compress(b'{"instances": [1]}')[:-9]], ids=["other bytes", "cut short"]
)
def test_bad_gzip_is_400(http, body):
    response = http.post(f"{MODEL}:predict", content=body, headers={"Content-Encoding": "gzip"})
    assert response.status_code == 400 and "gzip" in response.json()["error"]


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_picture_in_place_of_numbers_is_decoded_and_resized(http, file_format):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (9, 5), (10, 200, 30)).save(buffer, file_format)
    body = {"signature_name": "image", "instances": [b64(buffer.getvalue())]}
    mean = http.post(f"{MODEL}:predict", json=body).json()["predictions"][0]
    np.testing.assert_allclose(mean, [10, 200, 30], atol=4)


def test_bytes_that_are_no_picture_are_400(http):
    response = http.post(f"{MODEL}:predict", json={"signature_name": "image", "instances": [b64(b"no picture")]})
    assert response.status_code == 400 and "no JPEG, PNG, WebP, GIF or BMP" in response.json()["error"]


def test_classify_gives_pairs(http):
    body = {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]}
    assert http.post(f"{MODEL}:classify", json=body).json() == {"results": [[["one", 3.0], ["two", 6.0]]]}


def test_regress_gives_values_and_shares_context(http):
    body = {"signature_name": "regress_x_to_y", "context": {"x": 2.0}, "examples": [{}, {"x": 4.0}]}
    assert http.post(f"{MODEL}:regress", json=body).json() == {"results": [3.0, 4.0]}


@pytest.mark.parametrize(
    "path, body, status, message",
    [
        ("/v1/models/no:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(no)"),
        (
            f"{MODEL}/versions/9:predict",
            {"instances": [1]},
            404,
            "Servable not found for request: Specific(half_plus_two, 9)",
        ),
        (f"{MODEL}/labels/L:predict", {"instances": [1]}, 400, "Unrecognized servable version label: L"),
        (
            f"{MODEL}:predict",
            {"signature_name": "S", "instances": [1]},
            400,
            'Serving signature name: "S" not found in signature def',
        ),
        (f"{MODEL}:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        (f"{MODEL}:predict", {"instances": ["x"]}, 400, "Failed to process element: 0 of 'instances' list."),
        (
            f"{MODEL}:classify",
            {"signature_name": "S", "examples": [{"x": 1.0}]},
            400,
            "No signature was found with the name: S",
        ),
        (
            f"{MODEL}/versions/99999999999999999999:predict",
            {"instances": [1]},
            400,
            "Failed to convert version: 99999999999999999999 to numeric.",
        ),
        (
            f"{MODEL}/versions/{'9' * 5000}:predict",
            {"instances": [1]},
            400,
            f"Failed to convert version: {'9' * 5000} to numeric.",
        ),
        ("/v1/models/no/labels/L:predict", {"instances": [1]}, 400, "Unrecognized servable version label: L. There is"),
        (f"{MODEL}:predict?x=1", {}, 400, "Malformed request: POST /v1/models/half_plus_two:predict?x=1"),
    ],
)
def test_post_refuses_in_the_contracts_words(http, path, body, status, message):
    response = http.post(path, json=body)
    assert response.json()["error"].startswith(message)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "method, path", [("PUT", MODEL), ("DELETE", MODEL), ("GET", f"{MODEL}:predict"), ("POST", MODEL)]
)
def test_other_verbs_are_malformed_requests(http, method, path):
    response = http.request(method, path)
    assert (response.status_code, response.json()) == (400, {"error": f"Malformed request: {method} {path}"})


def test_json_that_cannot_be_parsed_is_400(http):
    response = http.post(f"{MODEL}:predict", content=b"{")
    assert response.status_code == 400 and response.json()["error"].startswith("JSON Parse error")


def test_outside_v1_is_a_404_page(http):
    response = http.get("/")
    assert response.status_code == 404 and response.headers["content-type"].startswith("text/html")


def test_status_body_is_the_contracts(http):
    expected = {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    assert http.get(MODEL).json() == http.get(f"{MODEL}/versions/1").json() == expected
    assert http.get(f"{MODEL}/labels/none").json() == expected  # a label is passed over, as there


@pytest.mark.parametrize(
    "path, message",
    [
        ("/v1/models/no", "Could not find any versions of model no"),
        (f"{MODEL}/versions/9", "Could not find version 9 of model half_plus_two"),
    ],
)
def test_status_of_the_unknown_is_404(http, path, message):
    response = http.get(path)
    assert (response.status_code, response.json()) == (404, {"error": message})


def test_metadata_body_is_the_contracts(http):
    body = http.get(f"{MODEL}/metadata").json()
    assert body["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "1"}
    signatures = body["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signatures["serving_default"]["inputs"]["x"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}],
        "unknown_rank": False,
    }
    assert "__saved_model_init_op" in signatures


def test_models_are_listed_with_the_engine_of_each_signature(http):
    ((name, (version,)),) = [(model["name"], model["versions"]) for model in http.get("/v1/models").json()["models"]]
    assert (name, version["version"], version["state"]) == ("half_plus_two", "1", "AVAILABLE")
    assert version["engines"]["serving_default"] == "tensorflow"


@pytest.mark.parametrize("path", ["/v1/health/live", "/v1/health/ready", "/v2/health/live", "/v2/health/ready"])
def test_health_needs_no_model_name(http, path):
    assert http.get(path).status_code == 200


@pytest.mark.parametrize("path, status", [("half_plus_two", 200), ("half_plus_two/versions/9", 404), ("no", 404)])
def test_kserve_readiness_of_a_model(http, path, status):
    assert http.get(f"/v2/models/{path}/ready").status_code == status


def test_options_needs_an_origin(http):
    assert http.options(MODEL, headers={"Origin": "https://example.org"}).status_code == 200
    assert http.options(MODEL).status_code == 400


def test_admin_paths_are_closed_without_their_flag(http):
    assert http.post("/v1/config:reload").status_code == 400
    assert http.post(f"{MODEL}:unload").status_code == 400


def test_cors_headers_come_with_their_flag(http, start_server, saved_model):
    assert "access-control-allow-origin" not in http.get(MODEL).headers
    with start_server(model_name="cors", model_base_path=saved_model("cors"), rest_api_enable_cors_support=True) as s:
        headers = httpx.get(f"http://localhost:{s.flags.rest_api_port}/v1/models/cors").headers
        assert headers["access-control-allow-origin"] == "*"
        assert headers["access-control-allow-methods"] == "POST, GET"
        assert headers["access-control-allow-headers"] == "Content-Type"


def test_unload_and_reload_over_rest(start_server, saved_model):
    base_path = saved_model("managed")
    with start_server(model_name="managed", model_base_path=base_path, rest_api_enable_admin=True) as server:
        url = f"http://localhost:{server.flags.rest_api_port}"
        assert httpx.post(f"{url}/v1/models/managed:unload").status_code == 200
        assert httpx.post(f"{url}/v1/models/managed:predict", json={"instances": [1]}).status_code == 404
        assert httpx.post(f"{url}/v1/models/no:unload").status_code == 404
        assert httpx.post(f"{url}/v1/config:reload", timeout=20).status_code == 200
        assert httpx.post(f"{url}/v1/models/managed:predict", json={"instances": [1]}).status_code == 200
        config = {
            "modelConfigList": {"config": [{"name": "renamed", "basePath": base_path, "modelPlatform": "tensorflow"}]}
        }
        assert httpx.post(f"{url}/v1/config:reload", json=config, timeout=20).status_code == 200
        assert httpx.post(f"{url}/v1/models/renamed:predict", json={"instances": [1]}).status_code == 200
        assert httpx.post(f"{url}/v1/config:reload", content=b"{", timeout=20).status_code == 400


def test_feature_name_that_is_no_utf8_is_refused(http):
    body = b'{"signature_name": "regress_x_to_y", "examples": [{"\xff": 1}]}'
    response = http.post(f"{MODEL}:regress", content=body)
    assert response.status_code == 400
    assert response.json()["error"].endswith("is no UTF-8.")


def test_readiness_of_a_version_no_number_can_hold(http):
    response = http.get(f"/v2/models/half_plus_two/versions/{'9' * 5000}/ready")
    assert response.status_code == 400


def test_outputs_of_a_signature_of_another_kind_are_named(http):
    body = {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]}
    assert http.post(f"{MODEL}:classify", json=body).json()["error"].endswith("Outputs: outputs.")
