"""The README's commands run and its contract is the code's."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MODEL = "all_cnn_c"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_readme_is_short():
    assert len(README.splitlines()) < 120


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"(?:^|`)(make [a-z]+(?: [A-Z]+=[^\s`]+)*)", README, re.MULTILINE)))
)
def test_make_knows_the_command(command):
    run = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m ([a-z_.]+)", README))))
def test_module_has_a_command_line(module):
    run = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0 and "usage" in run.stdout.lower(), run.stderr


@pytest.fixture(scope="module")
def server(start_server, tmp_path_factory):
    """A served network under the README's name, and `some.png` in the current folder."""
    import zoo
    from training.export import export

    root = tmp_path_factory.mktemp("readme")
    model = zoo.build(MODEL, input_shape=(28, 28, 1), num_classes=10, width=0.05)
    names = [str(digit) for digit in range(10)]
    export(model, root / "models", MODEL, class_names=names, card={}, sliding=zoo.convolutionize(model))
    noise = np.random.default_rng(0).integers(0, 256, (300, 400), np.uint8)  # no argument of a command is as long
    PIL.Image.fromarray(noise).save(root / "some.png")
    with start_server(models_root=str(root / "models"), engine="tensorflow") as server:
        server.folder = root
        yield server


def addressed(text, server):
    rest = f"localhost:{server.flags.rest_api_port}"
    return text.replace("localhost:8501", rest).replace("localhost:8500", f"localhost:{server.flags.port}")


def test_python_example_runs(server, monkeypatch, capsys):
    monkeypatch.chdir(server.folder)
    (example,) = blocks("python")
    exec(compile(addressed(example, server), "README.md", "exec"), {})
    told = capsys.readouterr().out
    assert told.count("[") > 1 and "AVAILABLE" in told


@pytest.mark.skipif(shutil.which("curl") is None, reason="the machine has no curl")
def test_curl_examples_run(server):
    commands = [line for block in blocks("sh") for line in re.split(r"(?<![\\|])\n", block) if "curl " in line]
    assert commands
    for command in commands:
        run = subprocess.run(
            ["sh", "-c", addressed(command, server)], cwd=server.folder, capture_output=True, text=True
        )
        assert re.search("AVAILABLE|predictions", run.stdout), run.stdout + run.stderr


def test_signature_table_is_what_is_exported(server):
    signatures = tf.saved_model.load(str(server.folder / "models" / MODEL / "1")).signatures
    table = README.partition("| signature |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z_]+)`", table, re.MULTILINE)) == set(signatures)


def test_flags_in_the_readme_are_known_to_a_program():
    from benchmarks.fine_tune import BenchmarkConfig
    from serving.flags import Flags
    from training.recipes import Recipe
    from training.train import TrainConfig

    programs = Flags, TrainConfig, Recipe, BenchmarkConfig
    known = {field for program in programs for field in program.__dataclass_fields__}
    given = set(re.findall(r"--([a-z_]+)", README))
    assert given <= known, given - known


def test_readme_names_no_folder_that_is_not_there():
    named = set(re.findall(r"(?:^|  )([a-z]+)/ ", README, re.MULTILINE))
    assert {"zoo", "training", "serving"} <= named
    assert [folder for folder in named if not os.path.isdir(ROOT / folder)] == []
