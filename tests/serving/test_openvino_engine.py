import time

import numpy as np
import openvino
import pytest
import tensorflow as tf

from serving.errors import Code, ServingError
from serving.loader import Loader
from serving.network import BATCH_SIZES
from serving.openvino_engine import Rest
from serving.servable import EngineOptions, load

SIDE, CLASSES, WORD_COUNT, MOST_ROWS = 8, 3, 50, 20


class Classifier(tf.Module):
    """A convolutional classifier with every kind of signature around it."""

    def __init__(self):
        super().__init__()
        draw = np.random.default_rng(0).normal
        self.kernel = tf.Variable(draw(size=(3, 3, 1, 4)), dtype=tf.float32)
        self.dense = tf.Variable(draw(size=(4, CLASSES)), dtype=tf.float32)
        self.words = tf.Variable(draw(size=(WORD_COUNT, 4)), dtype=tf.float32)
        self.count = tf.Variable(0.0)
        self.labels = tf.constant(["cat", "dog", "cow"])
        self.names = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.range(CLASSES), self.labels), "unknown"
        )

    def features(self, images):
        x = tf.nn.relu(tf.nn.conv2d(tf.cast(images, tf.float32) / 255, self.kernel, 2, "SAME"))
        return tf.reduce_mean(x, [1, 2])

    def few(self, images):
        tf.debugging.assert_less(tf.shape(images)[0], MOST_ROWS, "Fewer images, please.")
        return self.features(images)

    def finite(self, images):
        features = self.features(images)
        tf.debugging.assert_less(tf.reduce_max(features), 1e9)
        return features

    def mixed(self, vectors):
        return tf.nn.conv1d(vectors, self.kernel[0, :, :1] * tf.ones([1, 4, 1]), 1, "SAME")

    def probabilities(self, images):
        return tf.nn.softmax(self.features(images) @ self.dense)

    def decoded(self, image_bytes):
        def one(encoded):
            # A decoder with a matrix product of its own, which is not the network.
            image = tf.image.rgb_to_grayscale(tf.io.decode_image(encoded, channels=3, expand_animations=False))
            image.set_shape((None, None, 1))
            return tf.cast(tf.round(tf.image.resize(image, (SIDE, SIDE))), tf.uint8)

        return tf.map_fn(one, image_bytes, fn_output_signature=tf.TensorSpec((SIDE, SIDE, 1), tf.uint8))


IMAGES = tf.TensorSpec((None, SIDE, SIDE, 1), tf.uint8, "images")
FLAGS = tf.TensorSpec((None, SIDE, SIDE, 1), tf.bool, "flags")
WORDS_32 = tf.TensorSpec((None, 5), tf.int32, "words")
WORDS = tf.TensorSpec((None, 5), tf.int64, "words")
STRINGS = tf.TensorSpec((None,), tf.string, "inputs")


def signatures(module, names):
    """The named functions of `module`; each is a signature of one input."""
    table = {
        "serving_default": (IMAGES, lambda x: {"probabilities": module.probabilities(x)}),
        "few": (IMAGES, lambda x: {"features": module.few(x)}),
        "square": (
            tf.TensorSpec((None, None, None, 1), tf.uint8, "images"),
            lambda x: {"features": module.features(tf.ensure_shape(x, (None, 64, 64, 1)))},
        ),
        "finite": (IMAGES, lambda x: {"features": module.finite(x)}),
        "features": (IMAGES, lambda x: {"features": module.features(x)}),
        "both": (IMAGES, lambda x: {"features": module.features(x), "probabilities": module.probabilities(x)}),
        "encoded": (STRINGS, lambda x: {"probabilities": module.probabilities(module.decoded(x))}),
        "classify": (STRINGS, lambda x: classified(module, x)),
        "best": (IMAGES, lambda x: {"index": tf.argmax(module.probabilities(x), 1)}),
        "named": (IMAGES, lambda x: {"name": module.names.lookup(tf.argmax(module.features(x), 1, tf.int32))}),
        "doubled": (IMAGES, lambda x: {"y": 2.0 * tf.cast(x, tf.float32)}),
        "precise": (IMAGES, lambda x: {"y": tf.cast(module.features(x), tf.float64) / 3}),
        "centred": (IMAGES, lambda x: {"y": module.features(x) - tf.reduce_mean(module.features(x), 0)}),
        "flags": (FLAGS, lambda x: {"features": module.features(tf.where(x, 255, 0))}),
        "words": (WORDS, lambda x: {"y": module.mixed(tf.gather(module.words, x))}),
        "words32": (WORDS_32, lambda x: {"y": module.mixed(tf.gather(module.words, x))}),
        "hashed": (WORDS_32, lambda x: {"y": module.mixed(tf.gather(module.words, x % 47 * 3 // 4))}),
        "summed": (IMAGES, lambda x: {"y": module.features(x) - 0.01 * tf.reduce_sum(module.features(x), 0)}),
        "bag": (WORDS, lambda x: {"y": tf.reduce_mean(tf.gather(module.words, x), 1) @ module.dense}),
        "noisy": (IMAGES, lambda x: {"y": module.features(x) + tf.random.normal((4,))}),
        "counted": (IMAGES, lambda x: {"y": module.features(x) + module.count.assign_add(1.0)}),
        "fixed": (tf.TensorSpec((2, SIDE, SIDE, 1), tf.uint8, "images"), lambda x: {"y": module.features(x)}),
        "sized": (tf.TensorSpec((None, None, None, 1), tf.uint8, "images"), lambda x: {"y": module.features(x)}),
    }
    return {name: tf.function(table[name][1], input_signature=[table[name][0]]) for name in names}


def classified(module, inputs):
    parsed = tf.io.parse_example(inputs, {"image/encoded": tf.io.FixedLenFeature([], tf.string)})
    scores, order = tf.math.top_k(module.probabilities(module.decoded(parsed["image/encoded"])), CLASSES)
    return {"classes": tf.gather(module.labels, order), "scores": scores}


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    def export(*names):
        module = Classifier()
        path = tmp_path_factory.mktemp("model") / "1"
        module.served = signatures(module, names)
        tf.saved_model.save(module, str(path), module.served)
        return path

    return export


@pytest.fixture(scope="module")
def path(export):
    names = "serving_default features both encoded classify best named doubled precise flags words words32 bag".split()
    return export(*names, "few", "finite", "square", "hashed", "summed", "centred", "noisy", "fixed", "sized")


@pytest.fixture(scope="module", params=["this_process", "child"])
def fast(request, path):
    loader = Loader()
    servable = load(path, engine="auto", convert=loader.convert if request.param == "child" else None)
    loader.close()
    yield servable
    servable.close()


@pytest.fixture(scope="module")
def reference(path):
    servable = load(path, engine="tensorflow")
    yield servable
    servable.close()


def images(rows, side=SIDE):
    return np.random.default_rng(rows).integers(0, 256, (rows, side, side, 1), np.uint8)


def inputs_for(servable, name, rows):
    ((input_name, spec),) = servable.signatures[name].inputs.items()
    if input_name == "words":
        most = 2**31 if name == "hashed" else WORD_COUNT
        return {input_name: np.random.default_rng(rows).integers(0, most, (rows, 5)).astype(spec.dtype)}
    if name == "flags":
        return {input_name: images(rows) > 127}
    if spec.dtype != object:
        return {input_name: images(rows)}
    pictures = [tf.io.encode_png(image).numpy() for image in images(rows, side=11)]
    if name == "classify":
        pictures = [example(picture) for picture in pictures]
    return {input_name: np.array(pictures, object)}


def example(picture):
    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[picture]))
    return tf.train.Example(features=tf.train.Features(feature={"image/encoded": value})).SerializeToString()


@pytest.mark.parametrize("rows", [1, 2, 7, 33, 70])
@pytest.mark.parametrize(
    "name",
    [
        *"serving_default features both encoded classify best named doubled precise flags words words32 hashed".split(),
        *"summed bag centred sized".split(),
    ],
)
def test_answers_are_tensorflows(fast, reference, name, rows):
    inputs, outputs = inputs_for(fast, name, rows), list(fast.signatures[name].outputs)
    expected, answer = reference.run(name, inputs, outputs), fast.run(name, inputs, outputs)
    assert list(answer) == outputs
    for output, array in answer.items():
        assert (array.dtype, array.shape) == (expected[output].dtype, expected[output].shape)
        if array.dtype.kind == "f":
            np.testing.assert_allclose(array, expected[output], atol=1e-5)
        else:
            assert np.array_equal(array, expected[output])


@pytest.mark.parametrize(
    "name, engine, reason",
    [
        ("serving_default", "openvino", "within"),
        ("features", "openvino", "within"),
        ("few", "openvino", "within"),
        ("square", "openvino", "within"),
        ("finite", "tensorflow", "it asserts something of what its network gives"),
        ("both", "openvino", "within"),
        ("encoded", "openvino", "within"),
        ("classify", "openvino", "within"),
        ("best", "openvino", "within"),
        ("precise", "openvino", "within"),
        ("flags", "openvino", "within"),
        ("words", "openvino", "within"),
        ("words32", "openvino", "within"),
        ("hashed", "openvino", "within"),
        ("fixed", "openvino", "within"),
        ("sized", "openvino", "within"),
        ("named", "openvino", "within"),
        ("doubled", "tensorflow", "there is no convolution or matrix product outside loops in it"),
        ("bag", "tensorflow", "too small to be worth a second engine"),
        ("noisy", "tensorflow", "keeps state"),
        ("centred", "tensorflow", "differs from TensorFlow"),
        ("summed", "tensorflow", "differs from TensorFlow"),
    ],
)
def test_report_says_which_engine_and_why(fast, name, engine, reason):
    report = fast.engine_report[name]
    assert report.startswith(f"{engine}: ")
    assert reason in report


def test_rows_that_run_in_turns_end_at_the_deadline(fast):
    with pytest.raises(ServingError) as refused:
        fast.run("serving_default", {"images": images(100_000)}, ["probabilities"], time.monotonic() + 0.01)
    assert refused.value.code is Code.DEADLINE_EXCEEDED


def test_assertions_about_the_input_hold(fast):
    assert fast.run("few", {"images": images(MOST_ROWS - 1)}, ["features"])["features"].shape == (MOST_ROWS - 1, 4)
    with pytest.raises(ServingError, match="Fewer images, please.") as refused:
        fast.run("few", {"images": images(MOST_ROWS)}, ["features"])
    assert refused.value.code is Code.INVALID_ARGUMENT


def test_shape_that_the_model_ensures_is_ensured(fast):
    assert fast.run("square", {"images": images(1, 64)}, ["features"])["features"].shape == (1, 4)
    with pytest.raises(ServingError, match="is not compatible with expected shape") as refused:
        fast.run("square", {"images": images(1, 70)}, ["features"])
    assert refused.value.code is Code.INVALID_ARGUMENT


def test_no_rows_give_no_rows(fast):
    assert fast.run("serving_default", {"images": images(0)}, ["probabilities"])["probabilities"].shape == (0, CLASSES)


def test_read_only_input_is_taken(fast, reference):
    array = np.frombuffer(images(1).tobytes(), np.uint8).reshape(1, SIDE, SIDE, 1)
    found = fast.run("serving_default", {"images": array}, ["probabilities"])["probabilities"]
    expected = reference.run("serving_default", {"images": array}, ["probabilities"])["probabilities"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_only_the_outputs_asked_for_come_back(fast):
    assert list(fast.run("classify", inputs_for(fast, "classify", 2), ["scores"])) == ["scores"]


@pytest.mark.parametrize("shape", [(SIDE, SIDE, 1), (1, SIDE, SIDE, 3), (1, SIDE + 1, SIDE, 1)])
def test_shape_that_does_not_fit_is_refused(fast, shape):
    with pytest.raises(ServingError) as refused:
        fast.run("serving_default", {"images": np.zeros(shape, np.uint8)}, ["probabilities"])
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert f"[N,{SIDE},{SIDE},1]" in refused.value.message


def test_picture_that_does_not_decode_is_refused_in_tensorflows_words(fast):
    with pytest.raises(ServingError) as refused:
        fast.run("encoded", {"inputs": np.array([b"no picture"], object)}, ["probabilities"])
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert "Unknown image file format" in refused.value.message


@pytest.mark.parametrize("engine", ["auto", "tensorflow"])
def test_mixed_precision_multiplies_in_bfloat16_where_the_processor_does(path, reference, engine):
    options = EngineOptions(mixed_precision="bfloat16")
    has_bfloat16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    loader = Loader()
    servable = load(path, engine=engine, options=options, convert=loader.convert)
    loader.close()
    inputs = inputs_for(servable, "features", 3)
    want, got = (each.run("features", inputs, ["features"])["features"] for each in (reference, servable))
    np.testing.assert_allclose(got, want, atol=0.05 * want.max())
    if engine == "auto" and has_bfloat16:
        assert servable.engine_report["features"].startswith("openvino in bfloat16: within ")
        assert np.abs(got - want).max() > 1e-4 * want.max()
    servable.close()


def test_versions_with_equal_decoders_share_one_as_long_as_one_is_loaded(export):
    before = set(Rest._shared)
    versions = [load(export("encoded"), engine="auto") for _ in range(2)]
    assert len(set(Rest._shared) - before) == 1
    want = versions[0].run("encoded", inputs_for(versions[0], "encoded", 2), ["probabilities"])
    versions[0].close()
    got = versions[1].run("encoded", inputs_for(versions[1], "encoded", 2), ["probabilities"])
    np.testing.assert_array_equal(got["probabilities"], want["probabilities"])
    versions[1].close()
    assert set(Rest._shared) == before


@pytest.mark.parametrize("name", ["words", "words32"])
def test_index_outside_of_a_table_is_refused_in_tensorflows_words(fast, name):
    inputs = inputs_for(fast, name, 2)
    inputs["words"][1, 3] = WORD_COUNT
    with pytest.raises(ServingError) as refused:
        fast.run(name, inputs, ["y"])
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert f"indices[1,3] = {WORD_COUNT} is not in [0, {WORD_COUNT})" in refused.value.message


def test_input_of_no_dimensions_beside_images_is_taken(tmp_path):
    class Warm(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec([None, 4, 4, 1], tf.float32, "x"), tf.TensorSpec([], tf.float32, "scale")]
        )
        def serving_default(self, x, scale):
            return {"y": tf.nn.conv2d(x, tf.ones([3, 3, 1, 2]), 2, "SAME") * scale}

    module = Warm()
    tf.saved_model.save(module, str(tmp_path / "1"), {"serving_default": module.serving_default})
    x, scale = np.random.default_rng(0).random((20, 4, 4, 1), np.float32), np.float32(3)
    servable = load(tmp_path / "1", engine="auto")
    found = servable.run("serving_default", {"x": x, "scale": np.asarray(scale)}, ["y"])["y"]
    np.testing.assert_allclose(found, module.serving_default(x, scale)["y"], rtol=1e-5)
    servable.close()


def test_passed_deadline_is_refused(fast):
    with pytest.raises(ServingError) as refused:
        fast.run("serving_default", {"images": images(1)}, ["probabilities"], deadline_s=0.0)
    assert refused.value.code is Code.DEADLINE_EXCEEDED


def test_signature_that_writes_a_variable_keeps_them_all_on_tensorflow(export):
    servable = load(export("serving_default", "counted"), engine="auto")
    assert all(report.startswith("tensorflow: ") for report in servable.engine_report.values())
    assert servable.stateful == {"counted"}
    once, again = (servable.run("counted", {"images": images(1)}, ["y"])["y"] for _ in range(2))
    np.testing.assert_allclose(again - once, 1.0, atol=1e-5)
    servable.close()


def test_prepared_shapes_are_few_and_padding_to_them_wastes_at_most_a_third():
    assert len(BATCH_SIZES) <= 13
    for rows in range(1, BATCH_SIZES[-1] + 1):
        assert min(size for size in BATCH_SIZES if size >= rows) <= max(rows * 4 / 3, rows)


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


def test_whatever_a_conversion_raises_the_model_is_tensorflows(path, monkeypatch, caplog):
    monkeypatch.setattr("serving.conversion.cut_each", lambda *_: 1 / 0)
    servable = load(path, engine="auto")
    report = "tensorflow: its conversion for OpenVINO failed: division by zero"
    assert set(servable.engine_report.values()) == {report} and "ZeroDivisionError" in caplog.text
    assert servable.run("features", {"images": images(2)}, ["features"])["features"].shape == (2, 4)
    servable.close()


def test_assertion_behind_one_output_refuses_no_call_for_the_other(tmp_path):
    tf1 = tf.compat.v1
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, 3, 3, 1], "x")
        free = tf.nn.conv2d(x, tf.ones([3, 3, 1, 1]), 1, "VALID")
        with tf.control_dependencies([tf1.assert_less(x, 500.0, message="Smaller, please.")]):
            held = tf.identity(free)
        signature = tf1.saved_model.predict_signature_def({"x": x}, {"free": free, "held": held})
        builder = tf1.saved_model.Builder(str(tmp_path / "1"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    servable = load(tmp_path / "1", engine="auto")
    large = {"x": np.full((1, 3, 3, 1), 900, np.float32)}
    assert servable.run("serving_default", large, ["free"])["free"].tolist() == [[[[8100]]]]
    with pytest.raises(ServingError, match="Smaller, please."):
        servable.run("serving_default", large, ["held"])
    servable.close()


class Tagger(tf.Module):
    """Texts to the names of tags: a table from a file before the network, a table of strings behind it."""

    def __init__(self, folder):
        super().__init__()
        draw = np.random.default_rng(0).normal
        file = folder / "words.txt"
        file.write_text("the\nsmall\ncat\n")
        self.words = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(file), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            ),
            default_value=3,
        )
        self.tags = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.range(2, dtype=tf.int64), ["article", "a tag whose name is longer than twenty-four bytes"]
            ),
            default_value="unknown",
        )
        self.seen = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        self.vectors = tf.Variable(draw(size=(4, 8)), dtype=tf.float32)
        self.kernel = tf.Variable(draw(size=(3, 8, 3)), dtype=tf.float32)

    def scores(self, texts):
        words = tf.strings.split(texts).to_tensor("", shape=(None, 5))
        return tf.nn.conv1d(tf.gather(self.vectors, self.words.lookup(words)), self.kernel, 1, "SAME")

    @tf.function(input_signature=[STRINGS])
    def serving_default(self, texts):
        scores = self.scores(texts)
        return {"scores": scores, "tags": self.tags.lookup(tf.argmax(scores, 2))}

    @tf.function(input_signature=[STRINGS])
    def seen_before(self, texts):
        return {"scores": self.scores(texts), "count": self.seen.lookup(texts)}


def test_tables_go_with_the_parts_that_read_them(tmp_path):
    module = Tagger(tmp_path)
    signatures = {"serving_default": module.serving_default, "seen_before": module.seen_before}
    tf.saved_model.save(module, str(tmp_path / "1"), signatures)
    texts = np.array([b"the small cat", b"", b"a cat"], object)
    expected = module.serving_default(tf.constant([b"the small cat", b"", b"a cat"]))

    servable = load(tmp_path / "1", engine="auto")
    answers = servable.run("serving_default", {"inputs": texts}, ["scores", "tags"])

    assert servable.engine_report["serving_default"].startswith("openvino")
    assert servable.engine_report["seen_before"] == "tensorflow: MutableHashTableV2 keeps state"
    assert answers["tags"].tolist() == expected["tags"].numpy().tolist()
    assert len({tag for row in answers["tags"].tolist() for tag in row}) > 1
    np.testing.assert_allclose(answers["scores"], expected["scores"], atol=1e-5)
    servable.close()


def test_network_whose_weights_nobody_writes_is_fast_beside_a_signature_that_keeps_state(tmp_path):
    class Counter(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(tf.ones([3, 2]))
            self.count = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
        def serving_default(self, x):
            return {"y": tf.matmul(x, self.kernel)}

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "by")])
        def counted(self, by):
            return {"count": self.count.assign_add(by)}

    module = Counter()
    tf.saved_model.save(module, str(tmp_path), {"serving_default": module.serving_default, "counted": module.counted})
    servable = load(tmp_path, engine="auto")
    assert {name: report.split(":")[0] for name, report in servable.engine_report.items()} == {
        "serving_default": "openvino",
        "counted": "tensorflow",
    }
    assert [servable.run("counted", {"by": np.float32(2)}, ["count"])["count"].item() for _ in range(2)] == [2, 4]
    servable.close()


class Grouped(tf.Module):
    """A convolution in four groups, for which TensorFlow has no kernel on a processor and XLA has one."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(np.random.default_rng(0).normal(size=(3, 3, 2, 12)), dtype=tf.float32)

    @tf.function(jit_compile=True)
    def convolve(self, x):
        return tf.nn.conv2d(x, self.kernel, 1, "SAME")

    @tf.function(input_signature=[tf.TensorSpec((None, SIDE, SIDE, 8), tf.float32, "x")])
    def __call__(self, x):
        return {"y": tf.nn.relu(self.convolve(x))}

    @tf.function(input_signature=[tf.TensorSpec((None, SIDE, SIDE, 8), tf.float32, "x")])
    def kept(self, x):
        """The convolution's mean is rounded to a text, so that what follows it is not all OpenVINO's."""
        y = self.convolve(x)
        return {"text": tf.strings.as_string(tf.reduce_mean(y, [1, 2]), 2), "top": self.convolve(tf.round(y[..., :8]))}


@pytest.mark.parametrize("engine", ["auto", "tensorflow"])
def test_grouped_convolutions_that_keras_leaves_to_xla(tmp_path, engine):
    module = Grouped()
    tf.saved_model.save(module, str(tmp_path), {"serving_default": module.__call__, "kept": module.kept})
    x = np.random.default_rng(1).normal(size=(3, SIDE, SIDE, 8)).astype(np.float32)
    groups = zip(np.split(x, 4, axis=3), np.split(module.kernel.numpy(), 4, axis=3), strict=True)
    want = np.concatenate([tf.nn.conv2d(part, kernel, 1, "SAME") for part, kernel in groups], axis=3)
    servable = load(tmp_path, engine=engine)
    np.testing.assert_allclose(
        servable.run("serving_default", {"x": x}, ["y"])["y"], np.maximum(want, 0), rtol=1e-4, atol=1e-4
    )
    texts = servable.run("kept", {"x": x}, ["text"])["text"]
    assert texts.astype(float) == pytest.approx(want.mean((1, 2)), abs=0.01)
    if engine == "auto":
        assert servable.engine_report["serving_default"].startswith("openvino: within")
    servable.close()
