import itertools
import json
import subprocess
import sys

import pytest

from zoo import catalog
from zoo.__main__ import main
from zoo.cards import shipped


def lines(capsys, *argv):
    main(argv)
    return capsys.readouterr().out.splitlines()


def test_list_shows_every_network_within_80_columns(capsys):
    heading, *networks = itertools.takewhile(bool, lines(capsys, "list"))
    assert heading.split() == ["name", "family", "parameters", "paper", "mult-adds", "source"]
    assert [line.split()[0] for line in networks] == [*catalog.ENTRIES]
    assert max(map(len, networks)) <= 80
    assert "all_cnn_c           all-cnn      1,369,738    1.4M    270.8M arXiv 1412.6806" in networks


@pytest.mark.parametrize(
    "words, names",
    [
        ("vgg", ["vgg_11", "vgg_16", "vgg_19", "vgg16", "vgg19"]),
        ("CNN_A", ["strided_cnn_a", "convpool_cnn_a", "all_cnn_a"]),
        ("LeCun", ["lenet_5"]),
    ],
)
def test_list_filters_by_name_family_or_source(capsys, words, names):
    shown = [*itertools.takewhile(bool, lines(capsys, "list", "--filter", words))]
    assert [line.split()[0] for line in shown[1:]] == names


def test_list_ends_with_the_trained_weights_of_its_networks_within_80_columns(capsys):
    shown = lines(capsys, "list", "--filter", "all_cnn_c")
    heading, *trained = shown[shown.index("") + 1 :]
    assert heading == 'trained: zoo.load("name", weights="...")'
    assert [tuple(line.split()[:2]) for line in trained] == [("all_cnn_c", name) for name in shipped()["all_cnn_c"]]
    assert "all_cnn_c           fashion_mnist    152,906 parameters, 93.43% of 10,000 right" in trained
    assert max(map(len, trained)) <= 80
    assert "" not in lines(capsys, "list", "--filter", "vgg")


def test_describe_shows_what_each_layer_costs_within_80_columns(capsys):
    described = lines(capsys, "describe", "all_cnn_c")
    assert described[0].split() == ["layer", "window", "output", *"weights biases mult-adds memory sees jump".split()]
    assert "conv7              3x3     6x6x192     331,776    192     11.9M  27.6k   27    4" in described
    assert max(map(len, described)) <= 80
    assert described[-2:] == [
        "1,369,738 parameters = 1,368,480 weights + 1,258 biases",
        "270,798,336 multiply-adds and 1,399,240 bytes of activations for one image",
    ]


def test_describe_explains_alexnets_first_layer(capsys):
    described = lines(capsys, "describe", "alexnet", "--explain")
    at = described.index("conv1: Conv2D, 227x227x3 -> 55x55x96")
    assert described[at + 1 : at + 10] == [
        "    size           (227 - 11 + 2*0)/4 + 1 = 55",
        "    weights        11*11*3*96 = 34,848",
        "    parameters     34,848 weights + 96 biases = 34,944",
        "    unshared       105,705,600 parameters, were there a kernel for every place",
        "    as FC          44,892,355,200 parameters",
        "    multiply-adds  3,025 places * 34,848 weights = 105,415,200",
        "    memory         1,161,600 bytes = 55x55x96 numbers",
        "    receptive field 1 + (11 - 1)*1 = 11",
        "    jump           1*4 = 4",
    ]
    assert max(map(len, described)) <= 80


@pytest.mark.parametrize(
    "row, size",
    [
        ("CONV(3x3, 8, stride 2, same)", "(32 - 3 + 2*0.5)/2 + 1 = 16"),
        ("CONV(4x4, 8, stride 2, valid)", "(32 - 4 + 2*0)/2 + 1 = 15"),
        ("CONV(1x1, 8, stride 2, same)", "(32 - 1 + 2*0)/2 + 1 = 16.5, rounded down to 16"),
    ],
)
def test_describe_explains_output_sizes(capsys, row, size):
    assert f"    size           {size}" in lines(capsys, "describe", f"INPUT -> {row} -> FC", "--explain")


def test_describe_takes_the_size_of_the_image(capsys):
    described = lines(capsys, "describe", "all_cnn_c", "--input", "48x64x1")
    assert described[1].split()[:2] == ["images", "48x64x1"]


def test_describe_prints_json(capsys):
    main(["describe", "all_cnn_c", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["totals"]["parameters"] == 1_369_738
    assert [layer["receptive_field"] for layer in told["layers"] if layer["name"] == "conv7"] == [[27, 27]]


@pytest.mark.parametrize(
    "argv, sentence",
    [
        (["describe", "all_cnn_d"], "Unknown model 'all_cnn_d'. Did you mean 'all_cnn_c'? Known models: linear, one_"),
        (["describe", "INPUT -> [FC"], 'Expected "->", "*", "?" or "]" and found the end.\n  INPUT -> [FC\n'),
        (
            ["describe", "all_cnn_c", "--input", "32x32"],
            "--input is height x width x channels, such as 32x32x3, and got",
        ),
        (
            ["describe", "alexnet", "--input", "224x224x3"],
            "Row 1, CONV(11x11, 96, stride 4, valid) -> RELU, is given 224",
        ),
        (
            ["describe", "INPUT -> CONV"],
            "A network ends in class scores without a nonlinearity, FC or CONV(1x1, classes)",
        ),
        (["list", "--filter", "zzz"], "No network has 'zzz' in its name, family or source; `python -m zoo list` shows"),
    ],
)
def test_a_wrong_name_or_pattern_ends_with_a_sentence_and_status_2(capsys, argv, sentence):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(sentence)


def test_nothing_but_the_table_is_printed():
    done = subprocess.run([sys.executable, "-m", "zoo", "describe", "linear"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("layer ")
    assert done.stderr == ""
