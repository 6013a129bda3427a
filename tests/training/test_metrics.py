import numpy as np
import pytest

from training import metrics
from training.datasets import Split
from training.metrics import Accuracy


# Wilson, 1927; values from the closed form, as in Newcombe, Statistics in Medicine 17 (1998), table I
@pytest.mark.parametrize(
    "correct, total, low, high",
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_interval_is_wilsons(correct, total, low, high):
    assert Accuracy(correct, total).interval == pytest.approx((low, high), abs=5e-5)


def test_words_give_share_count_and_interval():
    assert str(Accuracy(9250, 10_000)) == ("92.50% of 10,000 (95% interval 91.97% to 93.00%)")


PROBABILITIES = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.45, 0.55]])
LABELS = np.array([0, 1, 1, 1])


def test_accuracy_counts_every_image():
    assert metrics.accuracy(PROBABILITIES, LABELS) == Accuracy(3, 4)


def test_confusion_has_true_classes_in_rows():
    assert metrics.confusion_matrix(PROBABILITIES, LABELS).tolist() == [[1, 0], [1, 2]]


def test_class_rows_are_images_recall_and_precision():
    confusion = np.array([[1, 0, 0], [1, 2, 0], [0, 0, 0]])
    assert metrics.class_rows(confusion) == [(1, Accuracy(1, 1), 0.5), (3, Accuracy(2, 3), 1.0), (0, None, None)]


def test_calibration_error_is_the_mean_gap_of_confidence_and_accuracy():
    # bins of a tenth: 0.9 right, 0.6 wrong, 0.8 right, 0.55 right shares 0.6's bin: |0.1| + |0.45 - 0.6| + |0.2|
    assert metrics.calibration_error(PROBABILITIES, LABELS, bins=10) == pytest.approx((0.1 + 0.15 + 0.2) / 4)


def test_sure_and_right_has_no_calibration_error():
    assert metrics.calibration_error(np.eye(3), np.arange(3)) == 0


def test_shift_moves_down_and_right_and_repeats_the_border():
    image = np.arange(9).reshape(1, 3, 3, 1)
    assert metrics.shifted(image, 1, 0)[0, ..., 0].tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5]]
    assert metrics.shifted(image, 0, -1)[0, ..., 0].tolist() == [[1, 2, 2], [4, 5, 5], [7, 8, 8]]


def test_shift_rows_tell_accuracy_and_what_stays_the_same():
    images = np.zeros((2, 5, 5, 1), np.uint8)
    images[0, 2, 2] = 255  # class 1 while the middle pixel is lit

    def predict(images):
        return np.eye(2)[(images[:, 2, 2, 0] > 0).astype(int)]

    rows = metrics.shift_rows(predict, Split(images, np.array([1, 0])), np.array([1, 0]), limit=2)
    assert rows == [(0, Accuracy(2, 2), 1.0), (1, Accuracy(4, 8), 0.5), (2, Accuracy(4, 8), 0.5)]
