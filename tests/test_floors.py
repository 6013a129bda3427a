import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FORBIDDEN = {
    "zoo": {"training", "serving", "tensorflow", "grpc", "starlette", "tensorflow_serving"},
    "training": {"serving"},
    "serving": {"zoo", "training", "keras"},
    "serving/codec_rest.py": {"tensorflow", "keras", "grpc", "starlette", "tensorflow_serving"},
    "serving/codec_grpc.py": {"keras", "starlette", "grpc"},
    "serving/inference.py": {"tensorflow", "grpc", "starlette", "tensorflow_serving"},
    "serving/client_rest.py": {"tensorflow", "grpc", "starlette", "tensorflow_serving"},
}


def imported_packages(place):
    path = ROOT / place
    for source in [path] if path.is_file() else path.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("place", FORBIDDEN)
def test_imports_only_what_is_below_it(place):
    assert not set(imported_packages(place)) & FORBIDDEN[place]
