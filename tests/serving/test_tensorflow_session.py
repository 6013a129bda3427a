"""A session on TensorFlow's C API gives back what was fed, to the byte, and keeps what the model keeps."""

import numpy as np
import pytest
import tensorflow as tf

from serving.errors import Code, ServingError
from serving.servable import EngineOptions
from serving.tensorflow_session import GraphSession

v1 = tf.compat.v1
STRINGS = [b"", b"a", b"\0", b"x" * 22, b"x" * 23, bytes(range(256)), b"jpeg" * 100_000]


@pytest.fixture
def session_of():
    """A session on the graph that `build()` makes; closed after the test."""
    opened = []

    def session_of(build):
        with tf.Graph().as_default() as graph:
            build()
        opened.append(GraphSession.of(graph.as_graph_def(), EngineOptions()))
        return opened[0]

    yield session_of
    for session in opened:
        session.close()


def identity(dtype):
    return lambda: tf.identity(v1.placeholder(dtype, None, "x"), "y")


@pytest.mark.parametrize("shape", [(7,), (1, 7), (7, 1, 1)])
def test_strings_come_back_to_the_byte(session_of, shape):
    sent = np.array(STRINGS, object).reshape(shape)
    (got,) = session_of(identity(tf.string)).run({"x:0": sent}, ["y:0"])
    assert got.shape == shape
    assert got.ravel().tolist() == STRINGS


def test_strings_made_by_the_model_of_those_it_got(session_of):
    def build():
        x = v1.placeholder(tf.string, [None], "x")
        tf.strings.join([x, x], name="twice")
        tf.strings.length(x, name="length")

    twice, length = session_of(build).run({"x:0": np.array(STRINGS, object)}, ["twice:0", "length:0"])
    assert twice.tolist() == [text + text for text in STRINGS]
    assert length.tolist() == list(map(len, STRINGS))


def test_a_string_variable_keeps_its_own_copy(session_of):
    def build():
        x = v1.placeholder(tf.string, [None], "x")
        kept = v1.Variable(tf.constant([""]), use_resource=False, validate_shape=False, name="kept")
        v1.assign(kept, x, validate_shape=False, name="keep")
        tf.identity(kept, "read")
        tf.strings.length(x, name="length")

    session = session_of(build)
    kept = [b"", b"a", b"x" * 23, b"jpeg" * 1000]
    session.run({"x:0": np.array(kept, object)}, ["keep:0"])
    for size in (1, 30, 300, 1000, 4000):  # into memory that was given back, if it was
        session.run({"x:0": np.array([b"y" * size] * 4, object)}, ["length:0"])
    assert session.run({}, ["read:0"])[0].tolist() == kept


@pytest.mark.parametrize("array", [np.float32(2), np.zeros((0, 3)), np.arange(12).reshape(3, 4)[:, ::2], np.array([])])
def test_arrays_of_any_shape_and_layout_come_back(session_of, array):
    (got,) = session_of(identity(array.dtype)).run({"x:0": np.asarray(array)}, ["y:0"])
    np.testing.assert_array_equal(got, array, strict=True)


def test_no_strings_come_back_as_none(session_of):
    (got,) = session_of(identity(tf.string)).run({"x:0": np.empty((0, 2), object)}, ["y:0"])
    assert got.shape == (0, 2)


def test_an_answer_outlives_its_session():
    with tf.Graph().as_default() as graph:
        tf.range(v1.placeholder(tf.int64, [], "n"), name="y")
    session = GraphSession.of(graph.as_graph_def(), EngineOptions())
    (answer,) = session.run({"n:0": np.array(1000)}, ["y:0"])
    session.close()
    assert answer.tolist() == list(range(1000))


def test_shapes_are_those_of_the_graph(session_of):
    def build():
        v1.placeholder(tf.float32, [None, 28, 28, 1], "image")
        v1.placeholder(tf.float32, [], "scalar")
        v1.placeholder(tf.float32, None, "any")

    session = session_of(build)
    assert session.shape("image:0") == (None, 28, 28, 1)
    assert session.shape("scalar:0") == ()
    assert session.shape("any:0") is None
    assert session.has("any:0")
    assert not session.has("any:1")
    assert not session.has("other:0")
    with pytest.raises(ServingError, match="no tensor other:0") as refused:
        session.run({}, ["other:0"])
    assert refused.value.code is Code.NOT_FOUND


def test_a_refusal_has_tensorflows_code_and_words(session_of):
    session = session_of(lambda: tf.reshape(v1.placeholder(tf.float32, None, "x"), [2, 3], "y"))
    with pytest.raises(ServingError, match="Input to reshape is a tensor with 5 values") as refused:
        session.run({"x:0": np.zeros(5, np.float32)}, ["y:0"])
    assert refused.value.code is Code.INVALID_ARGUMENT


def test_what_cannot_be_sent_is_refused(session_of):
    session = session_of(lambda: tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[], name="handle"))
    with pytest.raises(ServingError, match="DT_RESOURCE"):
        session.run({}, ["handle:0"])


def test_a_graph_that_is_none_is_refused():
    graph = tf.compat.v1.GraphDef()
    graph.node.add(name="x", op="NoSuchOp")
    with pytest.raises(ServingError, match="NoSuchOp") as refused:
        GraphSession.of(graph, EngineOptions())
    assert refused.value.code is Code.NOT_FOUND
