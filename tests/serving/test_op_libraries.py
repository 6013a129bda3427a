"""Models with operations that TensorFlow's library lacks; here one that its package has in a library beside it."""

import importlib.util
import pathlib

import httpx
import pytest
from tensorflow.core.protobuf import saved_model_pb2

LIBRARY = pathlib.Path(
    importlib.util.find_spec("tensorflow").submodule_search_locations[0],
    "lite/experimental/microfrontend/python/ops/_audio_microfrontend_op.so",
)
INT16, UINT16 = 5, 17
AUDIO = [0] * 720  # 25 ms windows every 10 ms of 16 kHz: 400 samples, and 160 more each

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="this TensorFlow has no library of operations beside it")


def call(graph):
    """Adds a function with the operation to the GraphDef, and the call of it."""
    function = graph.library.function.add()
    function.signature.name = "inner"
    function.signature.input_arg.add(name="audio", type=INT16)
    function.signature.output_arg.add(name="filterbanks", type=UINT16)
    function.node_def.add(name="frontend", op="AudioMicrofrontend", input=["audio"])
    function.ret["filterbanks"] = "frontend:filterbanks:0"
    node = graph.node.add(name="features", op="PartitionedCall", input=["audio"])
    node.attr["f"].func.name = "inner"
    node.attr["Tin"].list.type.append(INT16)
    node.attr["Tout"].list.type.append(UINT16)


@pytest.fixture(params=["in the graph", "in a function"])
def base_path(tmp_path, request):
    """A SavedModel whose one operation has all its attributes left out, as SavedModels have where they are defaults."""
    model = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    meta_graph = model.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    node = meta_graph.graph_def.node.add(name="audio", op="Placeholder")
    node.attr["dtype"].type = INT16
    if request.param == "in a function":
        call(meta_graph.graph_def)
    else:
        meta_graph.graph_def.node.add(name="features", op="AudioMicrofrontend", input=["audio"])
    meta_graph.graph_def.versions.producer = 2000
    signature = meta_graph.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    for infos, name, dtype, dims in ((signature.inputs, "audio", INT16, 1), (signature.outputs, "features", UINT16, 2)):
        infos[name].name, infos[name].dtype = f"{name}:0", dtype
        for _ in range(dims):
            infos[name].tensor_shape.dim.add(size=-1)
    folder = tmp_path / "audio/1"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return folder.parent


def features(process):
    answer = httpx.post(f"{process.url}/v1/models/audio:predict", json={"inputs": AUDIO}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()["outputs"]


@pytest.mark.parametrize("engine", ["auto", "tensorflow"])
def test_operations_of_a_library_that_is_named_are_there(launch, base_path, engine):
    process = launch(
        "--model_name=audio", f"--model_base_path={base_path}", f"--op_libraries={LIBRARY}", f"--engine={engine}"
    )
    assert features(process.wait_until_started()) == [[0] * 32] * 3


@pytest.mark.parametrize("engine", ["auto", "tensorflow"])
def test_operations_of_the_text_package_come_when_they_are_wanted(launch, base_path, engine, tmp_path, monkeypatch):
    package = tmp_path / "packages/tensorflow_text"
    (package / "python/ops").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('nobody needs its Python')")
    (package / "python/ops" / LIBRARY.name).symlink_to(LIBRARY)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    process = launch("--model_name=audio", f"--model_base_path={base_path}", f"--engine={engine}")
    assert features(process.wait_until_started()) == [[0] * 32] * 3


def test_text_package_for_another_tensorflow_is_told_and_other_models_are_served(
    launch, saved_model, tmp_path, monkeypatch
):
    package = tmp_path / "packages/tensorflow_text"
    (package / "python/ops").mkdir(parents=True)
    (package / "python/ops/_wrong.so").write_text("no ELF")
    (package / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    process = launch("--model_name=half_plus_two", f"--model_base_path={saved_model()}").wait_until_started()
    assert process.predict().json() == {"predictions": [2.5]}
    assert "_wrong.so cannot be loaded: " in process.output
    assert "Models with operations of tensorflow-text will not load." in process.output


@pytest.mark.parametrize("base_path", ["in the graph"], indirect=True)
def test_unknown_operation_fails_its_version_with_what_to_do(launch, base_path):
    process = launch("--model_name=audio", f"--model_base_path={base_path}", "--max_num_load_retries=0")
    process.wait_for("Op type not registered 'AudioMicrofrontend'")
    assert "once their shared objects are named: --op_libraries=path.so" in process.output


@pytest.mark.parametrize("base_path", ["in the graph"], indirect=True)
def test_file_that_is_no_library_of_operations_fails_what_is_loaded_with_it(launch, base_path, tmp_path):
    wrong = tmp_path / "wrong.so"
    wrong.write_text("no ELF")
    process = launch(
        "--model_name=audio",
        f"--model_base_path={base_path}",
        f"--op_libraries={wrong}",
        "--max_num_load_retries=0",
    )
    process.wait_for(f"The library of operations {wrong} cannot be loaded: ")


@pytest.mark.parametrize("base_path", ["in the graph"], indirect=True)
def test_library_that_is_not_there_stops_the_start(launch, base_path):
    process = launch("--model_name=audio", f"--model_base_path={base_path}", "--op_libraries=a.so,b.so")
    status, output = process.ended()
    assert status == 2
    assert output == "tensorflow_model_server: --op_libraries names files that are not there: a.so, b.so.\n"
