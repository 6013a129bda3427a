import numpy as np
import pytest

from serving.classification import Classification, classification, regression
from serving.errors import Code, ServingError

CLASSES = np.array([[b"a", b"b"], [b"b", b"a"]], object)
SCORES = np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)


def refusal(call, outputs):
    with pytest.raises(ServingError) as caught:
        call(outputs, 2)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize(
    "outputs",
    [{"classes": CLASSES, "scores": SCORES}, {"classes": CLASSES}, {"scores": SCORES, "other": SCORES}],
)
def test_classification_takes_classes_scores_or_both(outputs):
    result = classification(outputs, 2)
    assert result.classes is outputs.get("classes")
    assert result.scores is outputs.get("scores")


def test_rows_pair_labels_and_scores():
    assert list(Classification(CLASSES, SCORES).rows()) == [([b"a", b"b"], [0.75, 0.25]), ([b"b", b"a"], [0.5, 0.5])]
    assert list(Classification(None, SCORES[:1]).rows()) == [([b"", b""], [0.75, 0.25])]
    assert list(Classification(CLASSES[:1], None).rows()) == [([b"a", b"b"], [0.0, 0.0])]


@pytest.mark.parametrize(
    "outputs, message",
    [
        ({"classes": CLASSES[0]}, "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        ({"scores": SCORES[0]}, "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        ({"classes": SCORES}, "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        ({"scores": SCORES.astype(np.float64)}, "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE"),
        ({"classes": CLASSES[:1]}, "Expected classes output batch size of 2. Got: 1"),
        ({"scores": SCORES[:1]}, "Expected scores output batch size of 2. Got: 1"),
        (
            {"classes": CLASSES, "scores": SCORES[:, :1]},
            "Tensors class and score should match in dim_size(1). Got 2 vs. 1",
        ),
    ],
)
def test_classification_refusals(outputs, message):
    assert refusal(classification, outputs) == (Code.INVALID_ARGUMENT, message)


def test_classification_needs_classes_or_scores():
    code, message = refusal(classification, {"y": SCORES})
    assert code is Code.FAILED_PRECONDITION
    assert message.startswith(
        'Expected classification signature outputs to contain at least one of "classes" or "scores"'
    )


@pytest.mark.parametrize("values", [SCORES[:, 0], SCORES[:, :1]])
def test_regression_takes_a_vector_or_one_column(values):
    assert regression({"outputs": values}, 2).tolist() == [0.75, 0.5]


@pytest.mark.parametrize(
    "values, message",
    [
        (SCORES, "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]"),
        (
            np.array(1.0, np.float32),
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got []",
        ),
        (SCORES[:1, 0], "Input batch size did not match output batch size: 2 vs. 1"),
        (SCORES[:, 0].astype(np.float64), "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
    ],
)
def test_regression_refusals(values, message):
    assert refusal(regression, {"outputs": values}) == (Code.INVALID_ARGUMENT, message)


def test_regression_needs_outputs():
    code, message = refusal(regression, {"y": SCORES})
    assert code is Code.FAILED_PRECONDITION
    assert message.startswith("No regression outputs found in SignatureDef")
