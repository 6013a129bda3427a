import numpy as np
import pytest
from PIL import Image

from training import comparison
from training.datasets import Dataset, Split


def rows(**accuracies):
    return [
        {
            "recipe": "fast",
            "width": "0.333333",
            "model": model,
            "epochs": "12",
            "seed": str(seed),
            "accuracy": str(accuracy),
            "calibration_error": "0.01",
            "same_1": "0.99",
            "same_2": "0.98",
            "same_4": "0.9",
            "parameters": "154138",
            "multiply_adds": "22800000",
            "seconds": "60.5",
        }
        for model, values in accuracies.items()
        for seed, accuracy in enumerate(values)
    ]


# 0.91, 0.92, 0.93 and 0.88, 0.89, 0.90: 3 points, Welch's t(4) = 2.776 times sqrt(2e-4 / 3)
@pytest.mark.parametrize(
    "all_cnn, base, told",
    [
        ([0.91, 0.92, 0.93], [0.88, 0.89, 0.90], "+3.00 ± 2.27 points, so all_cnn_c is more accurate."),
        ([0.88, 0.89, 0.90], [0.91, 0.92, 0.93], "-3.00 ± 2.27 points, so base_c is more accurate."),
        ([0.90, 0.91, 0.92], [0.89, 0.90, 0.91], "+1.00 ± 2.27 points, no difference that 3 seeds can tell"),
        ([0.92] * 3, [0.90] * 3, "+2.00 ± 0.00 points; all seeds of each gave the same, which says nothing of chance."),
        ([0.92], [0.90], "+2.00 points; one seed each, which says nothing of chance."),
    ],
)
def test_answer_says_which_is_better_only_where_the_interval_does(all_cnn, base, told):
    got = comparison.answer(rows(base_c=base, all_cnn_c=all_cnn), "all_cnn_c", "base_c")
    assert got.startswith(f"all_cnn_c against base_c: {told}")


def test_table_has_a_line_for_each_network_with_the_mean_over_its_seeds():
    lines = list(comparison.table(rows(base_c=[0.91, 0.92, 0.93], all_cnn_c=[0.9, 0.9, 0.9])))
    assert lines[2:] == [
        "| base_c | 154,138 | 22.8M | 12 | 92.00% ± 2.48 | 99.0% | 98.0% | 90.0% | 1.0% |",
        "| all_cnn_c | 154,138 | 22.8M | 12 | 90.00% ± 0.00 | 99.0% | 98.0% | 90.0% | 1.0% |",
    ]


def test_page_says_how_far_from_equal_whole_epochs_are():
    found = rows(base_c=[0.9], all_cnn_c=[0.9])
    found[1] |= {"epochs": "3", "multiply_adds": "45600000"}
    told = comparison.in_whole_epochs(found)
    assert told == "In whole epochs, so with 0.50 to 1.00 times the multiply-adds of base_c."


def test_networks_without_a_pooled_counterpart_are_held_against_the_first():
    assert comparison.pairs(rows(linear=[0.8], lenet_5=[0.9])) == [("lenet_5", "linear")]
    assert comparison.pairs(rows(linear=[0.8], base_c=[0.9], all_cnn_c=[0.9])) == [("all_cnn_c", "base_c")]


def test_page_has_its_command_both_budgets_and_a_plot(tmp_path):
    split = Split(np.zeros((4, 2, 2, 1), np.uint8), np.zeros(4, np.int32))
    data = Dataset("mnist", ("0", "1"), split, split, "here")
    plans = {"equal epochs": rows(base_c=[0.9, 0.8]), "equal multiply-adds": rows(base_c=[0.9, 0.8], all_cnn_c=[0.7])}
    path = comparison.write(tmp_path / "compare_mnist.md", plans, data, "python -m training.compare")
    told = path.read_text("utf-8")
    assert "    python -m training.compare\n" in told
    assert "## At equal epochs\n" in told and "## At equal multiply-adds\n" in told
    assert told.endswith("(compare_mnist.png)\n")
    with Image.open(tmp_path / "compare_mnist.png") as picture:
        assert picture.format == "PNG"
