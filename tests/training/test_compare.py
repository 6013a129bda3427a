import csv
import re

import pytest

from training import compare, datasets


def arguments(folder, *given):
    roots = [f"--results_root={folder / 'results'}", f"--runs_root={folder / 'runs'}"]
    return [*roots, f"--data_dir={folder / 'data'}", "--width=0.05", "--epochs=1", "--seeds=1", *given]


@pytest.fixture(scope="module")
def written(tmp_path_factory, write_idx):
    """The folder of a comparison of two networks, one of them with more epochs for its multiply-adds."""
    folder = tmp_path_factory.mktemp("compare")
    write_idx(folder / "data", count=24)
    compare.main(arguments(folder, "--models", "base_c", "strided_cnn_c"))
    return folder


def csv_rows(folder):
    with open(folder / "results" / "compare_fashion_mnist.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_each_training_is_one_row_and_what_both_plans_need_is_done_once(written):
    rows = csv_rows(written)
    assert [(row["model"], row["epochs"], row["seed"]) for row in rows] == [
        ("base_c", "1", "0"),
        ("strided_cnn_c", "1", "0"),
        ("strided_cnn_c", "2", "0"),
    ]
    for row in rows:
        assert 0 <= float(row["accuracy"]) <= 1 and 0 <= float(row["same_4"]) <= 1
        assert int(row["parameters"]) > 0 and int(row["multiply_adds"]) > 0


def test_table_and_plot_are_beside_the_rows(written):
    told = (written / "results" / "compare_fashion_mnist.md").read_text("utf-8")
    assert len(re.findall(r"^\| (?:base_c|strided_cnn_c) \|", told, re.MULTILINE)) == 4
    assert "strided_cnn_c against base_c" in told and "python -m training.compare --results_root" in told
    assert (written / "results" / "compare_fashion_mnist.png").stat().st_size > 1000


def test_finished_trainings_are_not_done_again(written, capsys):
    before = (written / "results" / "compare_fashion_mnist.csv").read_bytes()
    compare.main(arguments(written, "--models", "base_c", "strided_cnn_c"))
    assert (written / "results" / "compare_fashion_mnist.csv").read_bytes() == before
    assert "Trained in" not in capsys.readouterr().out


def test_row_that_is_missing_is_trained_again_to_the_same_values(written):
    path = written / "results" / "compare_fashion_mnist.csv"
    before = csv_rows(written)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    compare.main(arguments(written, "--models", "base_c", "strided_cnn_c"))
    for was, now in zip(before, csv_rows(written), strict=True):
        assert was | {"seconds": ""} == now | {"seconds": ""}


@pytest.mark.parametrize(
    "given, sentence",
    [
        (["--models", "base"], "Did you mean"),
        (["--models", "base_c", "base_c"], "each once, got base_c, base_c"),
        (["--seeds", "0"], "seeds must be above 0, got 0"),
        (["--seeds", "99999999"], "seeds must be at most 1000, got 99999999"),
        (["--models", "base_c", "dcgan"], "dcgan cannot be compared"),
        (["--models", "base_c", "mobilenet_025"], "mobilenet_025 cannot be compared"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_status_2(tmp_path, capsys, given, sentence):
    with pytest.raises(SystemExit) as stopped:
        compare.main(arguments(tmp_path, *given))
    assert stopped.value.code == 2
    assert sentence in re.sub(r"[\s│]+", " ", capsys.readouterr().err)


def test_known_name_identifies_its_data_and_other_data_is_identified_by_what_it_holds(tmp_path, write_idx):
    data = [datasets.load("fashion_mnist", data_dir=write_idx(tmp_path / str(count), count)) for count in (8, 10)]
    known, folder = compare.CompareConfig(), compare.CompareConfig(data_dir=tmp_path)
    assert compare.identity(known, data[0]) == "fashion_mnist"
    assert compare.identity(folder, data[0]) != compare.identity(folder, data[1])


def test_changed_folder_is_trained_on_again(written, write_idx, capsys):
    write_idx(written / "data", count=26)
    compare.main(arguments(written, "--models", "base_c"))
    assert "Trained in" in capsys.readouterr().out
    assert len({row["dataset"] for row in csv_rows(written)}) == 2


def test_results_of_another_kind_are_not_overwritten(tmp_path, write_idx, capsys):
    write_idx(tmp_path / "data")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "compare_fashion_mnist.csv").write_text("a,b\n")
    with pytest.raises(SystemExit):
        compare.main(arguments(tmp_path))
    assert "has the columns a, b" in capsys.readouterr().err
