import numpy as np
import pytest

from training import head


def problem(count=120, dimensions=6, num_classes=3, seed=0):
    """Features of very different scales and offsets, labels that depend on them, weights."""
    random = np.random.default_rng(seed)
    plain = random.normal(size=(count, dimensions)) @ random.normal(size=(dimensions, dimensions))
    scores = plain @ random.normal(size=(dimensions, num_classes)) + random.gumbel(size=(count, num_classes))
    features = plain * np.geomspace(1e-2, 1e3, dimensions) + 5
    return features.astype(np.float32), scores.argmax(axis=1).astype(np.int32), random.uniform(0.5, 2, count)


def gradient(fitted, features, labels, weights, penalty):
    """Of the penalised loss in float64, in features scaled to mean 0 and deviation 1: (of the kernel, of the bias)."""
    weights = weights / weights.sum()
    mean = weights @ features.astype(np.float64)
    deviation = np.sqrt(weights @ np.square(features - mean))
    scaled = (features - mean) / deviation
    kernel = fitted.kernel * deviation[:, None]
    scores = scaled @ kernel + fitted.bias + mean @ fitted.kernel
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    errors = weights[:, None] * (probabilities - np.eye(scores.shape[1])[labels])
    return scaled.T @ errors + penalty * kernel, errors.sum(axis=0)


@pytest.mark.parametrize("penalty", [1.0, 0.1, 1e-2, 1e-3])
def test_fit_is_where_the_gradient_vanishes(penalty):
    features, labels, weights = problem()
    fitted = head.fit(features, labels, weights, 3, penalty)
    of_kernel, of_bias = gradient(fitted, features, labels, weights, penalty)
    assert np.abs(of_kernel).max() < 2e-4 and np.abs(of_bias).max() < 2e-4
    untrained = head.Head(np.zeros_like(fitted.kernel), np.zeros_like(fitted.bias))
    assert np.abs(gradient(untrained, features, labels, weights, penalty)[0]).max() > 0.02


def test_more_features_than_pictures_and_constant_ones_are_fitted():
    features, labels, weights = problem(count=12, dimensions=40)
    features[:, 3] = 7
    fitted = head.fit(features, labels, weights, 3, 1e-3)
    assert np.isfinite(fitted.kernel).all()
    assert (fitted.probabilities(features).argmax(axis=1) == labels).all()


def test_class_without_pictures_is_improbable():
    features, labels, weights = problem()
    fitted = head.fit(features, labels, weights, 4, 0.1)
    assert fitted.probabilities(features).shape == (120, 4)
    assert fitted.probabilities(features)[:, 3].max() < 0.05


def test_weight_of_two_is_the_picture_twice():
    features, labels, _ = problem()
    doubled = np.r_[np.arange(120), np.arange(60)]
    weighted = head.fit(features, labels, np.r_[np.full(60, 2.0), np.ones(60)], 3, 0.01)
    repeated = head.fit(features[doubled], labels[doubled], np.ones(180), 3, 0.01)
    np.testing.assert_allclose(weighted.probabilities(features), repeated.probabilities(features), atol=2e-3)


def test_class_weights_make_classes_equal_and_pictures_one_on_average():
    labels = np.array([0] * 10 + [1] * 1000 + [3] * 90)
    weights = head.class_weights(labels, 4)
    assert weights[labels].mean() == pytest.approx(1)
    assert np.bincount(labels, weights[labels])[[0, 1, 3]] == pytest.approx([1100 / 3] * 3)


def test_best_head_is_the_one_with_the_lowest_validation_loss():
    features, labels, weights = problem(count=240)
    rows = [(features[a], labels[a], weights[a]) for a in (slice(60), slice(60, None))]
    best, penalty = head.best_head(*rows, 3)
    losses = {
        each: head.log_loss(head.fit(*rows[0], 3, each).probabilities(rows[1][0]), *rows[1][1:])
        for each in head.PENALTIES
    }
    assert penalty == min(losses, key=losses.get)
    assert head.log_loss(best.probabilities(rows[1][0]), *rows[1][1:]) == pytest.approx(losses[penalty])
