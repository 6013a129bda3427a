import numpy as np
import pytest

from training.frechet import frechet_distance

RANDOM = np.random.default_rng(0)


def with_moments(mean, covariance, count=50):
    """Rows whose sample mean and covariance are exactly these."""
    rows = RANDOM.normal(size=(count, len(mean)))
    rows -= rows.mean(axis=0)
    rows @= np.linalg.inv(np.linalg.cholesky(np.cov(rows, rowvar=False))).T
    return rows @ np.linalg.cholesky(np.asarray(covariance, float)).T + mean


def test_equal_sets_are_at_no_distance():
    rows = RANDOM.normal(size=(20, 5))
    assert frechet_distance(rows, rows) == pytest.approx(0, abs=1e-9)


# (m1 - m2)^2 + (s1 - s2)^2 for one dimension; the sum over the dimensions where they are independent
def test_independent_dimensions_add_up():
    one, other = with_moments([1, 0], [[4, 0], [0, 9]]), with_moments([3, 0], [[1, 0], [0, 25]])
    assert frechet_distance(one, other) == pytest.approx((1 - 3) ** 2 + (2 - 1) ** 2 + (3 - 5) ** 2)


# for 2x2 matrices tr M^(1/2) = (tr M + 2 det(M)^(1/2))^(1/2), here with M = C1 C2
def test_covariances_that_do_not_commute():
    one, other = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[4.0, -1.0], [-1.0, 1.0]])
    product = one @ other
    shared = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    want = np.trace(one) + np.trace(other) - 2 * shared
    assert frechet_distance(with_moments([0, 0], one), with_moments([0, 0], other)) == pytest.approx(want)


def test_more_features_than_images_still_have_a_distance():
    got = frechet_distance(RANDOM.normal(size=(4, 10)), RANDOM.normal(size=(4, 10)) + 1)
    assert np.isfinite(got) and got > 0
