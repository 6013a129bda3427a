"""Any SavedModel is loaded and run: TF1, TF2 and Keras exports, tables, assets, state, strings, scalars, defaults."""

import shutil
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from serving.errors import Code, ServingError
from serving.servable import EngineOptions, load

tf1 = tf.compat.v1
DTYPES = "bool float16 bfloat16 float64 int8 uint8 int64 uint32 complex64".split()


def f32(values):
    return np.array(values, np.float32)


def open_model(path, **options):
    return load(path, engine="tensorflow", **options)


def words_table(file):
    """From a word to the number of its line in the text file."""
    word, line = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    return tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(file, tf.string, word, tf.int64, line), -1)


@pytest.fixture(scope="module")
def tf1_model(tmp_path_factory):
    """A TF1 SavedModel: a variable, a table filled from an asset by an init op, and a division that can fail."""
    folder = tmp_path_factory.mktemp("tf1")
    vocabulary = folder / "words.txt"
    vocabulary.write_text("apple\npear\n")
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, None, "x")
        word = tf1.placeholder(tf.string, [None], "word")
        n = tf1.placeholder(tf.int32, [None], "n")
        scale = tf1.get_variable("scale", initializer=3.0, use_resource=False)
        table = words_table(tf.constant(str(vocabulary)))
        info = tf1.saved_model.build_tensor_info
        signatures = {
            "serving_default": tf1.saved_model.build_signature_def(
                {"x": info(x)}, {"y": info(x * scale)}, "tensorflow/serving/predict"
            ),
            "lookup": tf1.saved_model.build_signature_def({"word": info(word)}, {"index": info(table.lookup(word))}),
            "divide": tf1.saved_model.build_signature_def({"n": info(n)}, {"half": info(n // 2), "none": info(n // 0)}),
        }
        session.run([tf1.global_variables_initializer(), tf1.tables_initializer()])
        builder = tf1.saved_model.Builder(str(folder / "1"))
        builder.add_meta_graph_and_variables(
            session,
            ["serve", "cpu"],
            signatures,
            assets_collection=tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS),
            main_op=tf1.tables_initializer(),
        )
        builder.save()
    vocabulary.unlink()
    servable = open_model(folder / "1", tags=("serve", "cpu"))
    yield servable
    servable.close()


class Kinds(tf.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.table = words_table(vocabulary)
        self.count = tf.Variable(0, dtype=tf.int64)
        self.kernel = tf.Variable(tf.ones([3, 3, 1, 2]))

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
    def any_rank(self, x):
        return {"y": x + 1}

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, "name")])
    def greeting(self, name):
        return {"text": tf.strings.join(["hello ", name])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "word")])
    def lookup(self, word):
        return {"index": self.table.lookup(word)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "step")])
    def counted(self, step):
        return {"count": self.count.assign_add(tf.reduce_sum(step))}

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32, "images")])
    def convolved(self, images):
        return {"features": tf.nn.conv2d(images, self.kernel, 1, "SAME")}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64, "steps")])
    def slow(self, steps):
        return {"steps": tf.while_loop(lambda i: i < steps, lambda i: (i + 1,), [tf.constant(0, tf.int64)])[0]}


def identity(dtype):
    return tf.function(lambda x: {"y": tf.identity(x)}, input_signature=[tf.TensorSpec([None], dtype, "x")])


@pytest.fixture(scope="module")
def kinds_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "words.txt").write_text("apple\npear\n")
    module = Kinds(str(folder / "words.txt"))
    signatures = {name: getattr(module, name) for name in "any_rank greeting lookup counted convolved slow".split()}
    tf.saved_model.save(module, str(folder / "1"), signatures | {dtype: identity(dtype) for dtype in DTYPES})
    (folder / "words.txt").unlink()
    return folder / "1"


@pytest.fixture(scope="module")
def kinds(kinds_path):
    servable = open_model(kinds_path)
    yield servable
    servable.close()


@pytest.fixture
def kinds_with(kinds_path, tmp_path):
    """The path of a copy whose signatures `edit` has changed."""

    def kinds_with(edit):
        path = shutil.copytree(kinds_path, tmp_path / "edited")
        model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        edit(model.meta_graphs[0].signature_def)
        (path / "saved_model.pb").write_bytes(model.SerializeToString())
        return path

    return kinds_with


def refusal(run, *args):
    with pytest.raises(ServingError) as refused:
        run(*args)
    return refused.value.code, refused.value.message


def test_tf1_variable_is_restored(tf1_model):
    assert tf1_model.run("serving_default", {"x": f32([1, 2])}, ["y"])["y"].tolist() == [3, 6]


@pytest.mark.parametrize("model", ["tf1_model", "kinds"])
def test_table_is_filled_from_its_asset(request, model):
    words = {"word": np.array([b"pear", b"plum"], object)}
    assert request.getfixturevalue(model).run("lookup", words, ["index"])["index"].tolist() == [1, -1]


def test_outputs_limit_what_is_executed(tf1_model):
    n = np.array([8], np.int32)
    assert tf1_model.run("divide", {"n": n}, ["half"])["half"].tolist() == [4]
    code, message = refusal(tf1_model.run, "divide", {"n": n}, ["none"])
    assert code is Code.INVALID_ARGUMENT
    assert "division by zero" in message.lower()


def test_signatures_have_names_dtypes_shapes_and_method(tf1_model):
    signature = tf1_model.signatures["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    assert signature.inputs["x"] == (np.dtype(np.float32), None)
    assert tf1_model.signatures["lookup"].inputs["word"] == (np.dtype(object), (None,))
    assert tf1_model.signatures["lookup"].outputs["index"].dtype == np.int64


def test_saved_signature_defs_are_kept_for_metadata(kinds):
    assert "__saved_model_init_op" in kinds.signature_defs
    assert "__saved_model_init_op" not in kinds.signatures


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 2, 3)])
def test_unknown_rank_takes_any(kinds, shape):
    assert np.array_equal(kinds.run("any_rank", {"x": np.ones(shape, np.float32)}, ["y"])["y"], np.full(shape, 2))


def test_string_scalar_goes_in_and_out(kinds):
    text = kinds.run("greeting", {"name": np.array(b"you", object)}, ["text"])["text"]
    assert (text.dtype, text.shape, text[()]) == (object, (), b"hello you")


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_pass(kinds, dtype):
    x = np.array([0, 1], tf.as_dtype(dtype).as_numpy_dtype)
    assert kinds.signatures[dtype].inputs["x"].dtype == x.dtype
    np.testing.assert_array_equal(kinds.run(dtype, {"x": x}, ["y"])["y"], x, strict=True)


def test_keras_export(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3), keras.layers.BatchNormalization()])
    model.export(tmp_path, verbose=False)
    servable = open_model(tmp_path)
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    (answer,) = servable.run("serving_default", {"x": x}, list(servable.signatures["serving_default"].outputs)).values()
    servable.close()
    np.testing.assert_allclose(answer, model.predict(x, verbose=0), rtol=1e-5)


def test_variable_keeps_what_a_run_wrote(kinds_path):
    servable = open_model(kinds_path)
    for expected in (2, 4):
        assert servable.run("counted", {"step": np.array([2])}, ["count"])["count"] == expected
    assert servable.stateful == {"counted"}
    servable.close()


def test_wrong_dtype_is_refused_in_tensorflows_words(kinds):
    code, message = refusal(kinds.run, "convolved", {"images": np.ones((1, 8, 8, 1))}, ["features"])
    assert code is Code.INVALID_ARGUMENT
    assert message == "Expects arg[0] to be float but double is provided"


def test_wrong_rank_is_refused_where_a_convolution_would_abort_the_process(kinds):
    code, message = refusal(kinds.run, "convolved", {"images": np.ones((8, 8, 1), np.float32)}, ["features"])
    assert code is Code.INVALID_ARGUMENT
    assert message == 'input must be 4-dimensional[8,8,1]. Input "images" expects the shape [N,8,8,1].'


def test_wrong_inner_shape_is_left_to_the_kernel(kinds):
    code, message = refusal(kinds.run, "convolved", {"images": np.ones((1, 8, 8, 3), np.float32)}, ["features"])
    assert code is Code.INVALID_ARGUMENT
    assert "depth" in message


def test_passed_deadline_is_refused_before_anything_runs(kinds):
    code, _ = refusal(kinds.run, "any_rank", {"x": f32(1)}, ["y"], time.monotonic() - 1)
    assert code is Code.DEADLINE_EXCEEDED


@pytest.mark.parametrize("session_config, wait_s", [({}, 0.1), ({"operation_timeout_in_ms": 2000}, None)])
def test_deadline_or_the_sessions_own_limit_ends_a_run(kinds_path, session_config, wait_s):
    options = EngineOptions(session_config=tf1.ConfigProto(**session_config).SerializeToString())
    servable = open_model(kinds_path, options=options)
    deadline_s = wait_s and time.monotonic() + wait_s
    code, _ = refusal(servable.run, "slow", {"steps": np.array(10**12)}, ["steps"], deadline_s)
    assert code is Code.DEADLINE_EXCEEDED
    servable.close()


def test_many_threads_get_their_own_answers(kinds):
    wrong = []

    def ask(number):
        for _ in range(50):
            if kinds.run("any_rank", {"x": f32([number])}, ["y"])["y"].tolist() != [number + 1]:
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_default_of_an_input_is_part_of_the_signature(kinds_with):
    servable = open_model(kinds_with(lambda defs: defs["any_rank"].defaults["x"].CopyFrom(tf.make_tensor_proto(4.0))))
    assert servable.signatures["any_rank"].defaults == {"x": f32(4.0)}
    servable.close()


@pytest.mark.parametrize("engine", ["auto", "tensorflow"])
@pytest.mark.parametrize(
    "files, options, code, text",
    [
        ({}, {}, Code.NOT_FOUND, "Could not find SavedModel .pb or .pbtxt at supplied export directory path"),
        ({"saved_model.pb": b"\xff"}, {}, Code.OUT_OF_RANGE, "cannot be loaded: Read less bytes than requested"),
        (None, {"tags": ("gpu",)}, Code.NOT_FOUND, "Could not find meta graph def matching supplied tags: { gpu }"),
    ],
)
def test_what_cannot_be_loaded_says_why(kinds_path, tmp_path, engine, files, options, code, text):
    path = kinds_path if files is None else tmp_path
    for name, content in (files or {}).items():
        (path / name).write_bytes(content)
    found, message = refusal(lambda: load(path, engine=engine, **options))
    assert found is code
    assert text in message


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_signature_that_names_what_is_not_there_leaves_the_others_be(kinds_with, engine):
    def edit(definitions):
        definitions["wrong"].CopyFrom(definitions["any_rank"])
        definitions["wrong"].outputs["y"].name = "nope:0"

    servable = load(kinds_with(edit), engine=engine)
    assert servable.run("any_rank", {"x": f32([1])}, ["y"])["y"].tolist() == [2.0]
    assert "nope:0" in refusal(servable.run, "wrong", {"x": f32([1])}, ["y"])[1]
    servable.close()
