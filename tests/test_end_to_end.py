"""The whole path with its real parts: train, export, serve, ask, in every form of both protocols."""

import base64
import gzip
import io

import grpc
import httpx
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.client import Client
from training import train

MODEL = "all_cnn_c"
ATOL = 1e-5


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (10, 28, 28, 1), np.uint8)


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


@pytest.fixture(scope="module")
def models_root(tmp_path_factory):
    """A tiny network trained on forty random images by the program itself."""
    folder = tmp_path_factory.mktemp("end_to_end")
    random = np.random.default_rng(0)
    for part, count in ("train", 40), ("t10k", 20):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", random.integers(0, 256, (count, 28, 28)))
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", np.arange(count) % 10)
    root = folder / "models"
    flags = {
        "model": MODEL,
        "dataset": "fashion_mnist",
        "data_dir": folder,
        "width": 0.1,
        "epochs": 1,
        "batch_size": 8,
        "models_root": root,
        "runs_root": folder / "runs",
    }
    train.main([f"--{name}={value}" for name, value in flags.items()])
    return root


@pytest.fixture(scope="module", params=["tensorflow", "auto"])
def server(request, models_root, start_server):
    with start_server(models_root=str(models_root), engine=request.param) as server:
        yield server


@pytest.fixture(scope="module")
def expected(models_root, images):
    """What the SavedModel itself answers, run by TensorFlow with no server between."""
    signature = tf.saved_model.load(models_root / MODEL / "1").signatures["serving_default"]
    return signature(images=tf.constant(images))["probabilities"].numpy()


def pngs(images):
    contents = []
    for image in images:
        content = io.BytesIO()
        PIL.Image.fromarray(image[..., 0]).save(content, "PNG")
        contents.append(content.getvalue())
    return contents


def over_rest(server, body):
    url = f"http://localhost:{server.flags.rest_api_port}/v1/models/{MODEL}:predict"
    response = httpx.post(url, json=body, timeout=30)
    assert response.status_code == 200, response.text
    return response.json()


def b64(contents):
    return [{"b64": base64.b64encode(content).decode()} for content in contents]


def stock_stub(server, images):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(images))
    with grpc.insecure_channel(f"localhost:{server.flags.port}") as channel:
        response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)
    return tf.make_ndarray(response.outputs["probabilities"])


def our_client(server, images, call):
    addresses = [f"http://localhost:{server.flags.rest_api_port}", f"grpc://localhost:{server.flags.port}"]
    for address in addresses:
        with Client(address, MODEL) as client:
            yield getattr(client, call)(images if call == "predict" else pngs(images))


FORMS = {
    "stock gRPC stubs": stock_stub,
    "REST rows": lambda server, images: over_rest(server, {"instances": images.tolist()})["predictions"],
    "REST columns": lambda server, images: over_rest(server, {"inputs": {"images": images.tolist()}})["outputs"],
    "REST PNG": lambda server, images: over_rest(server, {"signature_name": "encoded", "instances": b64(pngs(images))})[
        "predictions"
    ],
    "REST PNG for the numeric input": lambda server, images: over_rest(server, {"instances": b64(pngs(images))})[
        "predictions"
    ],
    "our REST client": lambda server, images: next(our_client(server, images, "predict")),
    "our gRPC client": lambda server, images: list(our_client(server, images, "predict"))[1],
    "our REST client, PNG": lambda server, images: next(our_client(server, images, "predict_encoded")),
    "our gRPC client, PNG": lambda server, images: list(our_client(server, images, "predict_encoded"))[1],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_asking_gives_the_same_probabilities(server, images, expected, form):
    np.testing.assert_allclose(FORMS[form](server, images), expected, atol=ATOL)


def test_dense_signature_slides_over_a_larger_image(server, expected, images):
    larger = np.pad(images[:1], ((0, 0), (0, 8), (0, 8), (0, 0)))
    body = {"signature_name": "dense", "instances": larger.tolist()}
    assert np.shape(over_rest(server, body)["predictions"]) == (1, 3, 3, 10)
    body["instances"] = images.tolist()
    np.testing.assert_allclose(np.array(over_rest(server, body)["predictions"])[:, 0, 0], expected, atol=ATOL)
