import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from serving.errors import Code, ServingError
from serving.servable import load

tf1 = tf.compat.v1


def f32(values):
    return np.array(values, np.float32)


def open_model(path, **options):
    return load(path, engine="tensorflow", **options)


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
        asset = tf.constant(str(vocabulary))
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                asset, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            ),
            -1,
        )
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
    def __init__(self):
        super().__init__()
        self.count = tf.Variable(0, dtype=tf.int64)
        self.kernel = tf.Variable(tf.ones([3, 3, 1, 2]))

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
    def any_rank(self, x):
        return {"y": x + 1}

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, "name")])
    def greeting(self, name):
        return {"text": tf.strings.join(["hello ", name])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.bfloat16, "x")])
    def brain(self, x):
        return {"y": x * 2}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "step")])
    def counted(self, step):
        return {"count": self.count.assign_add(tf.reduce_sum(step))}

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32, "images")])
    def convolved(self, images):
        return {"features": tf.nn.conv2d(images, self.kernel, 1, "SAME")}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, "steps")])
    def slow(self, steps):
        return {"sum": tf.while_loop(lambda i, s: i < steps, lambda i, s: (i + 1, s + tf.sin(s)), [0, 1.0])[1]}


@pytest.fixture(scope="module")
def kinds_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("kinds") / "1"
    module = Kinds()
    names = "any_rank greeting brain counted convolved slow".split()
    tf.saved_model.save(module, str(path), {name: getattr(module, name) for name in names})
    return path


@pytest.fixture(scope="module")
def kinds(kinds_path):
    servable = open_model(kinds_path)
    yield servable
    servable.close()


def refusal(run, *args):
    with pytest.raises(ServingError) as refused:
        run(*args)
    return refused.value.code, refused.value.message


def test_tf1_variable_is_restored(tf1_model):
    assert tf1_model.run("serving_default", {"x": f32([1, 2])}, ["y"])["y"].tolist() == [3, 6]


def test_tf1_table_is_filled_from_its_asset(tf1_model):
    words = np.array([b"pear", b"plum"], object)
    assert tf1_model.run("lookup", {"word": words}, ["index"])["index"].tolist() == [1, -1]


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


def test_bfloat16_keeps_its_dtype(kinds):
    x = np.array([1.5], kinds.signatures["brain"].inputs["x"].dtype)
    y = kinds.run("brain", {"x": x}, ["y"])["y"]
    assert (y.dtype.name, float(y[0])) == ("bfloat16", 3.0)


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


def test_deadline_ends_a_run(kinds):
    started_s = time.monotonic()
    code, _ = refusal(kinds.run, "slow", {"steps": np.array(10**9, np.int32)}, ["sum"], started_s + 0.2)
    assert code is Code.DEADLINE_EXCEEDED
    assert time.monotonic() - started_s < 20


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


def test_default_of_an_input_is_part_of_the_signature(kinds_path, tmp_path):
    file = kinds_path / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    signature_def = model.meta_graphs[0].signature_def["any_rank"]
    signature_def.defaults["x"].CopyFrom(tf.make_tensor_proto(4.0))
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    (tmp_path / "variables").symlink_to(kinds_path / "variables")
    servable = open_model(tmp_path)
    assert servable.signatures["any_rank"].defaults == {"x": f32(4.0)}
    servable.close()


@pytest.mark.parametrize(
    "files, options, code, text",
    [
        ({}, {}, Code.NOT_FOUND, "Could not find SavedModel .pb or .pbtxt at supplied export directory path"),
        ({"saved_model.pb": b"\xff"}, {}, Code.OUT_OF_RANGE, "cannot be loaded: Read less bytes than requested"),
        (None, {"tags": ("gpu",)}, Code.NOT_FOUND, "Could not find meta graph def matching supplied tags: { gpu }"),
    ],
)
def test_what_cannot_be_loaded_says_why(kinds_path, tmp_path, files, options, code, text):
    path = kinds_path if files is None else tmp_path
    for name, content in (files or {}).items():
        (path / name).write_bytes(content)
    found, message = refusal(lambda: open_model(path, **options))
    assert found is code
    assert text in message


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_signature_that_names_what_is_not_there_leaves_the_others_be(tmp_path, engine):
    class Double(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def __call__(self, x):
            return {"y": 2 * x}

    tf.saved_model.save(module := Double(), str(tmp_path), module.__call__)
    path = tmp_path / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    definitions = saved.meta_graphs[0].signature_def
    definitions["wrong"].CopyFrom(definitions["serving_default"])
    definitions["wrong"].outputs["y"].name = "nope:0"
    path.write_bytes(saved.SerializeToString())
    loaded = load(tmp_path, engine=engine)
    x = {"x": np.array([1.0], np.float32)}
    assert loaded.run("serving_default", x, ["y"])["y"].tolist() == [2.0]
    with pytest.raises(ServingError, match="nope:0"):
        loaded.run("wrong", x, ["y"])
    loaded.close()
