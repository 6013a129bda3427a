import importlib.util

import pytest

from benchmarks import steps


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed")
def test_without_pytorch_how_to_install_it_is_told():
    with pytest.raises(SystemExit, match=r"Install it with: pip install -e '\.\[bench\]'"):
        steps.main([])


@pytest.mark.parametrize("width, parameters", [(1.0, 1_369_738), (1 / 3, 153_482)])
def test_pytorchs_network_has_all_parameters_of_the_zoos(width, parameters):
    pytest.importorskip("torch", reason="PyTorch, an optional extra, is not installed")
    from benchmarks.torch_steps import network
    from zoo import catalog, rows

    modules = network(rows.sized(catalog.entry("all_cnn_c").rows, 10, width), channels=3)
    assert sum(parameter.numel() for parameter in modules.parameters()) == parameters
