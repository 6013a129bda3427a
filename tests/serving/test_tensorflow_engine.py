"""Any SavedModel is loaded and run: TF1, TF2 and Keras exports, tables, assets, state, strings, scalars, defaults."""

import pathlib
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from serving.errors import Code, ServingError
from serving.servable import EngineOptions, load

v1 = tf.compat.v1


@pytest.fixture
def run(tmp_path):
    """Loads the model that `write(path)` saved and runs a signature; closes what it loaded."""
    loaded = []

    def run(write, inputs, signature_name="serving_default", outputs=None):
        if not loaded:
            write(str(tmp_path / "model"))
            loaded.append(load(tmp_path / "model", engine="tensorflow"))
        signature = loaded[0].signatures[signature_name]
        arrays = {
            name: np.asarray(value, signature.inputs[name].dtype)
            for name, value in {**signature.defaults, **inputs}.items()
        }
        answer = loaded[0].run(signature_name, arrays, outputs or list(signature.outputs))
        return {name: array.tolist() for name, array in answer.items()}

    yield run
    for servable in loaded:
        servable.close()


def module(function, **attributes):
    """A writer of a module whose one signature is `function`."""

    def write(path):
        saved = tf.Module()
        for name, value in attributes.items():
            setattr(saved, name, value)
        saved.function = function
        tf.saved_model.save(saved, path, {"serving_default": function})

    return write


def test_tf1_model_with_two_signatures_and_an_init_op(run):
    def write(path):
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None], "x")
            table = v1.Variable(tf.constant([10.0, 20.0]), use_resource=False)
            filled = v1.assign(table, table + 1)
            session.run(v1.global_variables_initializer())
            builder = v1.saved_model.Builder(path)
            signatures = {
                name: v1.saved_model.predict_signature_def({"x": x}, {"y": y})
                for name, y in {"serving_default": x * 2, "plus": x + table[0]}.items()
            }
            builder.add_meta_graph_and_variables(session, ["serve"], signatures, main_op=filled.op)
            builder.save()

    assert run(write, {"x": [1, 2]}) == {"y": [2, 4]}
    assert run(write, {"x": [1, 2]}, "plus") == {"y": [12, 13]}


def test_keras_export(run):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3), keras.layers.BatchNormalization()])
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    (answer,) = run(lambda path: model.export(path, verbose=False), {"x": x}).values()
    np.testing.assert_allclose(answer, model.predict(x, verbose=0), rtol=1e-5)


def test_lookup_table_from_an_asset_file(run, tmp_path):
    (tmp_path / "words.txt").write_text("zero\none\ntwo\n")
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(tmp_path / "words.txt"),
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
        ),
        "none",
    )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "x")])
    def name(x):
        return {"name": table.lookup(x)}

    assert run(module(name, table=table), {"x": [2, 0, 9]}) == {"name": [b"two", b"zero", b"none"]}


def test_variables_keep_their_state_between_calls(run):
    count = tf.Variable(0, dtype=tf.int64)

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64, "step")])
    def counted(step):
        return {"count": count.assign_add(step)}

    write = module(counted, count=count)
    assert [run(write, {"step": 2})["count"] for _ in range(3)] == [2, 4, 6]


def test_strings_scalars_and_unknown_rank(run):
    @tf.function(input_signature=[tf.TensorSpec(None, tf.string, "text"), tf.TensorSpec([], tf.bool, "loud")])
    def shout(text, loud):
        return {"text": tf.cond(loud, lambda: tf.strings.upper(text), lambda: text), "size": tf.size(text)}

    write = module(shout)
    assert run(write, {"text": b"ab", "loud": True}) == {"text": b"AB", "size": 1}
    assert run(write, {"text": [[b"ab", b"c"]], "loud": False}) == {"text": [[b"ab", b"c"]], "size": 2}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int8", "uint8", "int64", "uint32", "complex64"])
def test_dtypes_pass(run, dtype):
    @tf.function(input_signature=[tf.TensorSpec([None], dtype, "x")])
    def identity(x):
        return {"y": tf.identity(x)}

    assert run(module(identity), {"x": [1, 2]}) == {"y": [1, 2]}


def test_signature_with_defaults(run):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([], tf.float32, "scale")])
    def scaled(x, scale):
        return {"y": x * scale}

    def write(path):
        module(scaled)(path)
        file = pathlib.Path(path, "saved_model.pb")
        proto = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        signature = proto.meta_graphs[0].signature_def["serving_default"]
        signature.defaults["scale"].CopyFrom(tf.make_tensor_proto(np.float32(3)))
        file.write_bytes(proto.SerializeToString())

    assert run(write, {"x": [1, 2]}) == {"y": [3, 6]}
    assert run(write, {"x": [1, 2], "scale": 10}) == {"y": [10, 20]}


def test_only_the_asked_outputs_are_executed(run):
    def write(path):
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None], "x")
            bad = tf.debugging.check_numerics(x / 0, "divided by zero")
            v1.saved_model.simple_save(session, path, {"x": x}, {"good": x + 1, "bad": bad})

    assert run(write, {"x": [1]}, outputs=["good"]) == {"good": [2]}
    with pytest.raises(ServingError, match="divided by zero") as refused:
        run(write, {"x": [1]}, outputs=["bad"])
    assert refused.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("session_config, wait_s", [({}, 0.1), ({"operation_timeout_in_ms": 2000}, None)])
def test_deadline_or_the_sessions_own_limit_ends_a_run(tmp_path, session_config, wait_s):
    @tf.function(input_signature=[tf.TensorSpec([], tf.int64, "steps")])
    def spin(steps):
        return {"i": tf.while_loop(lambda i: i < steps, lambda i: (i + 1,), [tf.constant(0, tf.int64)])[0]}

    module(spin)(str(tmp_path / "model"))
    options = EngineOptions(session_config=v1.ConfigProto(**session_config).SerializeToString())
    servable = load(tmp_path / "model", engine="tensorflow", options=options)
    with pytest.raises(ServingError) as refused:
        servable.run("serving_default", {"steps": np.int64(10**12)}, ["i"], wait_s and time.monotonic() + wait_s)
    assert refused.value.code is Code.DEADLINE_EXCEEDED
    servable.close()


@pytest.mark.parametrize(
    "content, code, message",
    [
        (None, Code.NOT_FOUND, "Could not find SavedModel .pb or .pbtxt at supplied export directory path"),
        (b"no protobuf", Code.OUT_OF_RANGE, "cannot be loaded: Read less bytes than requested"),
    ],
)
def test_what_is_no_saved_model_is_refused(tmp_path, content, code, message):
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ServingError, match=message) as refused:
        load(tmp_path)
    assert refused.value.code is code


def test_other_tags_are_refused_with_the_wanted_ones(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def identity(x):
        return {"y": tf.identity(x)}

    module(identity)(str(tmp_path / "model"))
    with pytest.raises(ServingError, match="gpu_only") as refused:
        load(tmp_path / "model", tags=["gpu_only"])
    assert refused.value.code is Code.NOT_FOUND
