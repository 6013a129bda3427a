import subprocess
import sys
import threading
import time
import weakref

import httpx
import numpy as np
import pytest

from serving.errors import Code, ServingError
from serving.signature import Signature, TensorSpec

START_S = 60
STARTED = "Exporting HTTP/REST API"


@pytest.fixture(scope="session")
def eventually():
    """Asks until the answer is the wanted one."""

    def eventually(answer, wanted):
        deadline_s = time.monotonic() + START_S
        while (found := answer()) != wanted:
            assert time.monotonic() < deadline_s, found

    return eventually


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory):
    """Writes `models/<name>/<version>` with the signatures that the contract speaks of; returns the base path."""
    import tensorflow as tf

    class Contract(tf.Module):
        """y = a x + b, and its like as examples, text, images, pairs, scalars and a count."""

        def __init__(self, a, b):
            super().__init__()
            self.a = tf.Variable(a, dtype=tf.float32)
            self.b = tf.Variable(b, dtype=tf.float32)
            self.count = tf.Variable(0, dtype=tf.int64)
            self.names = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(tf.constant([0, 1], tf.int64), ["even", "odd"]), "none"
            )

        def line(self, x):
            return self.a * x + self.b

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def serving_default(self, x):
            return {"y": self.line(x)}

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "a"), tf.TensorSpec([None], tf.int32, "b")])
        def pair(self, a, b):
            return {"sum": tf.reduce_sum(a, 1) + tf.cast(b, tf.float32), "twice": 2 * b}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
        def text(self, text):
            return {"upper": tf.strings.upper(text), "raw_bytes": text}

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
        def scalar(self, x):
            return {"y": self.line(x)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "x")])
        def named(self, x):
            return {"name": self.names.lookup(x)}

        @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, 3], tf.uint8, "images")])
        def image(self, images):
            return {"mean": tf.reduce_mean(tf.cast(images, tf.float32), [1, 2])}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "step")])
        def counted(self, step):
            return {"count": self.count.assign_add(tf.reduce_sum(step))[tf.newaxis]}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float16, "x")])
        def half(self, x):
            return {"y": x / 2}

        def features(self, examples):
            return tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
        def regress_x_to_y(self, inputs):
            return {"outputs": self.line(self.features(inputs))}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
        def classify_x_to_y(self, inputs):
            scores = self.line(self.features(inputs)) * [[1.0, 2.0]]
            return {"classes": tf.tile([["one", "two"]], [tf.shape(scores)[0], 1]), "scores": scores}

    root = tmp_path_factory.mktemp("models")

    def write(name="half_plus_two", version=1, a=0.5, b=2.0, root=root):
        module = Contract(a, b)
        names = "serving_default pair text scalar named image counted half regress_x_to_y classify_x_to_y".split()
        signatures = {name: getattr(module, name) for name in names}
        tf.saved_model.save(module, str(root / name / str(version)), signatures)
        return str(root / name)

    return write


@pytest.fixture(scope="session")
def half_plus_two(start_server, saved_model):
    """A running server with the model `half_plus_two`, version 1."""
    base_path = saved_model()
    with start_server(model_name="half_plus_two", model_base_path=base_path) as server:
        yield server


class Shouter:
    """A servable that answers in capitals; "wait" only once it is let go, "fault" and "bug" never.

    It tells that a "wait" has begun, all texts that it ran, and weakly the arrays it was given.
    """

    def __init__(self):
        texts = TensorSpec(np.dtype(object), (None,))
        self.signatures = {"serving_default": Signature({"text": texts}, {"text": texts}, "", {})}
        self.signature_defs = self.engine_report = {}
        self.stateful = frozenset()
        self.ran, self.taken = [], []
        self.has_begun, self.may_end = threading.Event(), threading.Event()

    def run(self, signature_name, inputs, outputs, deadline_s=None):
        texts = inputs["text"]
        self.ran.extend(texts)
        self.taken.append(weakref.ref(texts))
        if b"fault" in texts:
            raise ServingError(Code.INVALID_ARGUMENT, "Not that.")
        if b"bug" in texts:
            raise ValueError("a bug")
        if b"wait" in texts:
            self.has_begun.set()
            assert self.may_end.wait(START_S)
        return {"text": np.array([text.upper() for text in texts], object)}

    def close(self):
        """Nothing to give back."""


@pytest.fixture
def shouter():
    return Shouter()


class Process:
    """`python -m serving.server` with flags; `url` is its REST address, `output` what it has said."""

    def __init__(self, grpc_port, rest_port, *flags):
        self.grpc_port, self.port = grpc_port, rest_port
        self.url = f"http://localhost:{rest_port}"
        ports = [f"--port={grpc_port}", f"--rest_api_port={rest_port}"]
        command = [sys.executable, "-m", "serving.server", "--engine=tensorflow", *ports, *flags]
        self.popen = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.output = ""

    def wait_until_started(self):
        return self.wait_for(STARTED)

    def wait_for(self, text):
        patience = threading.Timer(START_S, self.popen.kill)
        patience.start()
        for line in self.popen.stderr:
            self.output += line
            if text in line:
                patience.cancel()
                return self
        patience.cancel()
        pytest.fail(self.output)

    def ended(self):
        """(exit status, everything said)"""
        _, rest = self.popen.communicate(timeout=START_S)
        return self.popen.returncode, self.output + (rest or "")

    def predict(self, name="half_plus_two", x=(1.0,)):
        return httpx.post(f"{self.url}/v1/models/{name}:predict", json={"instances": list(x)}, timeout=START_S)


@pytest.fixture
def launch(free_port):
    launched = []

    def launch(*flags):
        launched.append(Process(free_port(), free_port(), *flags))
        return launched[-1]

    yield launch
    for process in launched:
        process.popen.kill()
        process.popen.communicate()
