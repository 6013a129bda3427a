"""The fast engine answers as TensorFlow does, on every signature it takes, and says why it leaves others."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from serving.servable import load

ATOL = 1e-5


def network():
    keras.utils.set_random_seed(0)
    images = keras.Input((12, 12, 1), dtype="uint8", name="images")
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(8, 3, 2, activation="relu")(x)
    x = keras.layers.Conv2D(5, 1)(x)
    return keras.Model(images, keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(x)))


class Classifier(tf.Module):
    """A network behind numbers, behind pictures, before a choice of names; and what OpenVINO cannot take."""

    def __init__(self):
        super().__init__()
        self.network = network()
        self.kept = [variable.value for variable in self.network.variables]
        self.count = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 12, 12, 1], tf.uint8, "images")])
    def serving_default(self, images):
        return {"probabilities": self.network(images, training=False)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def encoded(self, image_bytes):
        def decode(content):
            image = tf.image.rgb_to_grayscale(tf.io.decode_image(content, channels=3, expand_animations=False))
            image.set_shape([None, None, 1])
            return tf.cast(tf.image.resize(image, [12, 12]), tf.uint8)

        images = tf.map_fn(decode, image_bytes, fn_output_signature=tf.TensorSpec([12, 12, 1], tf.uint8))
        return {"probabilities": self.network(images, training=False)}

    @tf.function(input_signature=[tf.TensorSpec([None, 12, 12, 1], tf.uint8, "images")])
    def named(self, images):
        scores, order = tf.math.top_k(self.network(images, training=False), 5)
        return {"classes": tf.gather(tf.constant(list("abcde")), order), "scores": scores}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def text(self, text):
        return {"text": tf.strings.upper(text)}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def counted(self, x):
        return {"y": tf.matmul(x, x, transpose_b=True) + self.count.assign_add(1.0)}


SIGNATURES = ("serving_default", "encoded", "named", "text", "counted")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    module = Classifier()
    path = tmp_path_factory.mktemp("classifier")
    tf.saved_model.save(module, str(path), {name: getattr(module, name) for name in SIGNATURES})
    return path


@pytest.fixture(scope="module")
def engines(path):
    servables = {engine: load(path, engine=engine) for engine in ("tensorflow", "auto")}
    yield servables
    for servable in servables.values():
        servable.close()


def images(count):
    return np.random.default_rng(count).integers(0, 256, (count, 12, 12, 1), np.uint8)


def pngs(count):
    return np.array([tf.io.encode_png(image).numpy() for image in images(count)], object)


def both(engines, signature_name, inputs):
    names = list(engines["auto"].signatures[signature_name].outputs)
    return [engines[engine].run(signature_name, inputs, names) for engine in ("tensorflow", "auto")]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 32, 33, 70])
def test_numbers_are_answered_as_tensorflow_does_in_any_batch(engines, count):
    want, have = both(engines, "serving_default", {"images": images(count)})
    np.testing.assert_allclose(have["probabilities"], want["probabilities"], atol=ATOL)


@pytest.mark.parametrize("count", [1, 5])
def test_encoded_pictures_are_decoded_by_tensorflow_and_answered_the_same(engines, count):
    want, have = both(engines, "encoded", {"image_bytes": pngs(count)})
    np.testing.assert_allclose(have["probabilities"], want["probabilities"], atol=ATOL)


def test_what_comes_after_the_network_is_the_same(engines):
    want, have = both(engines, "named", {"images": images(4)})
    np.testing.assert_array_equal(have["classes"], want["classes"])
    np.testing.assert_allclose(have["scores"], want["scores"], atol=ATOL)


def test_only_the_asked_output_is_given(engines):
    assert list(engines["auto"].run("named", {"images": images(1)}, ["scores"])) == ["scores"]


@pytest.mark.parametrize(
    "name, engine",
    [
        ("serving_default", "openvino"),
        ("encoded", "openvino"),
        ("named", "openvino"),
        ("text", "tensorflow"),
        ("counted", "tensorflow"),
    ],
)
def test_report_names_the_engine_and_the_reason(engines, name, engine):
    report = engines["auto"].engine_report[name]
    assert report.startswith(engine) and len(report) > len(engine) + 10


def test_state_and_strings_stay_with_tensorflow(engines):
    x = np.ones((1, 3), np.float32)
    counts = [engines["auto"].run("counted", {"x": x}, ["y"])["y"].item() for _ in range(2)]
    assert counts[1] == counts[0] + 1
    assert engines["auto"].run("text", {"text": np.array([b"a"], object)}, ["text"])["text"].tolist() == [b"A"]


def test_read_only_and_strided_arrays_are_taken(engines):
    pixels = images(6)
    want = engines["tensorflow"].run("serving_default", {"images": pixels[::2].copy()}, ["probabilities"])
    frozen = np.frombuffer(pixels.tobytes(), np.uint8).reshape(pixels.shape)[::2]
    have = engines["auto"].run("serving_default", {"images": frozen}, ["probabilities"])
    np.testing.assert_allclose(have["probabilities"], want["probabilities"], atol=ATOL)


def test_model_that_only_tensorflow_can_run_says_so(tmp_path):
    class Text(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "x")])
        def serving_default(self, x):
            return {"y": tf.strings.length(x)}

    module = Text()
    tf.saved_model.save(module, str(tmp_path), {"serving_default": module.serving_default})
    servable = load(tmp_path, engine="auto")
    assert servable.engine_report["serving_default"].startswith("tensorflow: ")
    assert servable.run("serving_default", {"x": np.array([b"abc"], object)}, ["y"])["y"].tolist() == [3]
    servable.close()


def test_network_whose_weights_another_signature_writes_stays_with_tensorflow(tmp_path):
    class Learner(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(tf.ones([3, 2]))

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
        def serving_default(self, x):
            return {"y": tf.matmul(x, self.kernel)}

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "by")])
        def learn(self, by):
            return {"sum": tf.reduce_sum(self.kernel.assign_add(tf.fill([3, 2], by)))}

    module = Learner()
    signatures = {"serving_default": module.serving_default, "learn": module.learn}
    tf.saved_model.save(module, str(tmp_path), signatures)
    servable = load(tmp_path, engine="auto")
    servable.run("learn", {"by": np.float32(1)}, ["sum"])
    assert servable.run("serving_default", {"x": np.ones((1, 3), np.float32)}, ["y"])["y"].tolist() == [[6, 6]]
    assert "may write its variables" in servable.engine_report["serving_default"]
    servable.close()
