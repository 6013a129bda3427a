"""ProfilerService answers TensorFlow's own client as a TensorFlow server does."""

import concurrent.futures
import contextlib
import threading

import grpc
import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from serving.profiler import MESSAGES, SERVICE

TRACE_MS, LONG_MS, DEADLINE_S = 300, 600_000, 60


@pytest.fixture
def process(launch, saved_model):
    process = launch("--model_name=half_plus_two", f"--model_base_path={saved_model()}").wait_until_started()
    threading.Thread(target=process.popen.stderr.read, daemon=True).start()
    return process


@pytest.fixture
def call(process):
    """Calls a method of the service with the fields of its request."""

    def call(method, **fields):
        request = MESSAGES[f"{method}Request"](**fields)
        return channel.unary_unary(f"/{SERVICE}/{method}")(request.SerializeToString(), timeout=DEADLINE_S)

    with grpc.insecure_channel(f"localhost:{process.grpc_port}") as channel:
        yield call


@contextlib.contextmanager
def asked_without_pause(process):
    """Somebody asks the model until the end."""
    is_over = threading.Event()

    def ask():
        while not is_over.is_set():
            process.predict()

    asking = threading.Thread(target=ask)
    asking.start()
    yield
    is_over.set()
    asking.join()


def test_tensorflows_client_gets_a_trace_of_what_runs(process, tmp_path):
    with asked_without_pause(process):
        tf.profiler.experimental.client.trace(f"grpc://localhost:{process.grpc_port}", str(tmp_path), TRACE_MS)
    (path,) = tmp_path.glob(f"plugins/profile/*/localhost_{process.grpc_port}.xplane.pb")
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    names = {metadata.name for plane in space.planes for metadata in plane.event_metadata.values()}
    assert any(name.startswith("SessionRun") for name in names)
    assert any("AddV2" in name for name in names)


def test_one_trace_at_a_time_and_terminate_ends_it(call, tmp_path):
    place = {"repository_root": str(tmp_path), "host_name": "here"}
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        traces = [threads.submit(call, "Profile", duration_ms=LONG_MS, session_id=name, **place) for name in "ab"]
        refused, *_ = concurrent.futures.wait(traces, return_when=concurrent.futures.FIRST_COMPLETED).done
        error = refused.exception()
        assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "Another profiling session active.")
        running = "ab"[refused is traces[0]]
        assert call("Terminate", session_id=running) == b""
        assert traces["ab".index(running)].result() == b""
    assert (tmp_path / running / "here.xplane.pb").exists()


def test_a_place_that_cannot_be_written_is_refused_and_the_next_trace_runs(call, tmp_path):
    (tmp_path / "file").touch()
    place = {"duration_ms": 1, "session_id": "s", "host_name": "h"}
    with pytest.raises(grpc.RpcError, match=r"h\.xplane\.pb cannot be written: Not a directory") as refused:
        call("Profile", repository_root=str(tmp_path / "file"), **place)
    assert refused.value.code() is grpc.StatusCode.INTERNAL
    assert call("Profile", repository_root=str(tmp_path), **place) == b""


def test_a_caller_who_leaves_ends_the_trace(process, call, tmp_path):
    place = {"repository_root": str(tmp_path), "session_id": "s", "host_name": "h"}
    call("Profile", duration_ms=1, **place)  # the first one waits for an import
    with grpc.insecure_channel(f"localhost:{process.grpc_port}") as channel:
        request = MESSAGES["ProfileRequest"](duration_ms=LONG_MS, **place).SerializeToString()
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(f"/{SERVICE}/Profile")(request, timeout=0.5)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert call("Profile", duration_ms=1, **place) == b""


def test_the_flag_turns_it_off(launch, saved_model):
    flags = ["--model_name=half_plus_two", f"--model_base_path={saved_model()}", "--enable_profiler=false"]
    process = launch(*flags).wait_until_started()
    with grpc.insecure_channel(f"localhost:{process.grpc_port}") as channel:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(f"/{SERVICE}/Profile")(b"", timeout=DEADLINE_S)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
