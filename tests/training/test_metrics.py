import numpy as np
import pytest

from training import metrics
from training.metrics import Accuracy, ClassScore


# Wilson, 1927; values from the closed form, as in Newcombe, Statistics in Medicine 17 (1998), table I
@pytest.mark.parametrize(
    "correct, total, low, high",
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_interval_is_wilsons(correct, total, low, high):
    assert Accuracy(correct, total).interval == pytest.approx((low, high), abs=5e-5)


def test_words_give_share_count_and_interval():
    assert str(Accuracy(9250, 10_000)) == ("92.50% of 10,000 (95% interval 91.97% to 93.00%)")


def test_accuracy_counts_where_the_likeliest_class_is_right():
    probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.7, 0.3]])
    assert metrics.accuracy(probabilities, np.array([0, 1, 1])) == Accuracy(2, 3)


LABELS = np.array([0, 0, 0, 0, 1, 1, 2])
PREDICTIONS = np.array([0, 0, 1, 2, 1, 0, 1])


def test_confusion_matrix_has_classes_as_rows_and_predictions_as_columns():
    got = metrics.confusion_matrix(PREDICTIONS, LABELS, 4)
    assert got.tolist() == [[2, 1, 1, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_class_scores_are_recall_precision_and_the_worst_mistake():
    confusion = metrics.confusion_matrix(PREDICTIONS, LABELS, 4)
    assert metrics.class_scores(confusion) == [
        ClassScore(Accuracy(2, 4), 2 / 3, (1, 1 / 4)),
        ClassScore(Accuracy(1, 2), 1 / 3, (0, 1 / 2)),
        ClassScore(Accuracy(0, 1), 0.0, (1, 1.0)),
        ClassScore(None, None, None),
    ]


def two_classes(confidence):
    return np.stack([confidence, 1 - confidence], axis=1)


def test_calibration_error_is_the_weighted_gap_of_each_bin():
    probabilities = two_classes(np.array([0.6, 0.7, 0.8 - 1e-9, 0.9]))
    labels = np.array([0, 1, 0, 0])
    # (0.5, 0.75]: right 1 of 2, mean probability 0.65; (0.75, 1]: right 2 of 2, mean probability 0.85
    assert metrics.calibration_error(probabilities, labels, bins=4) == pytest.approx(0.5 * 0.15 + 0.5 * 0.15)


def test_calibration_error_of_a_confident_model_is_its_error():
    probabilities = two_classes(np.ones(4))
    assert metrics.calibration_error(probabilities, np.array([0, 0, 0, 1])) == pytest.approx(0.25)


def test_calibration_error_is_zero_where_probabilities_hold():
    probabilities = two_classes(np.full(5, 0.6))
    assert metrics.calibration_error(probabilities, np.array([0, 0, 0, 1, 1])) == pytest.approx(0)


def test_probability_on_the_border_of_two_bins_belongs_to_the_lower():
    probabilities = two_classes(np.array([0.75, 0.75, 0.7, 0.8]))
    labels = np.array([1, 1, 0, 0])  # lower bin: right 1 of 3, sum of probabilities 2.2; upper: right 1 of 1, 0.8
    assert metrics.calibration_error(probabilities, labels, bins=4) == pytest.approx((1.2 + 0.2) / 4)
