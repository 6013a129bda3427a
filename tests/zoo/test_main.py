import pytest

from zoo import catalog
from zoo.__main__ import main


def lines(capsys, *argv):
    main(argv)
    return capsys.readouterr().out.splitlines()


def test_list_shows_every_network_within_80_columns(capsys):
    heading, *networks = lines(capsys, "list")
    assert heading.split() == ["name", "family", "parameters", "mult-adds", "source"]
    assert [line.split()[0] for line in networks] == [*catalog.ENTRIES]
    assert max(map(len, networks)) <= 80
    assert "all_cnn_c             springenberg     1,369,738     270.8M  arXiv 1412.6806" in networks


@pytest.mark.parametrize(
    "words, names",
    [
        ("vgg", ["vgg_11", "vgg_16", "vgg_19"]),
        ("CNN_A", ["strided_cnn_a", "convpool_cnn_a", "all_cnn_a"]),
        ("LeCun", ["lenet_5"]),
    ],
)
def test_list_filters_by_name_family_or_source(capsys, words, names):
    assert [line.split()[0] for line in lines(capsys, "list", "--filter", words)[1:]] == names


def test_describe_shows_each_row_with_its_shape_and_parameters(capsys):
    described = "\n".join(lines(capsys, "describe", "all_cnn_c"))
    assert "6 x 6 x 192" in described
    assert "331,968" in described
    assert "1,369,738" in described


@pytest.mark.parametrize(
    "argv, sentence",
    [
        (["describe", "all_cnn_d"], "Unknown model 'all_cnn_d'. Did you mean 'all_cnn_c'? Known models: linear, one_"),
        (["describe", "INPUT -> [FC"], 'Expected "->", "*", "?" or "]" and found the end.\n  INPUT -> [FC\n'),
        (["list", "--filter", "zzz"], "No network has 'zzz' in its name, family or source; `python -m zoo list` shows"),
    ],
)
def test_a_wrong_name_or_pattern_ends_with_a_sentence_and_status_2(capsys, argv, sentence):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(sentence)
