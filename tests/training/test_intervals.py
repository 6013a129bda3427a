import pytest

from training.intervals import MeanInterval, difference_interval, mean_interval, student_t_95


# Student, 1908; the values every table of t has
@pytest.mark.parametrize("freedom, t", [(1, 12.706), (2, 4.303), (10, 2.228), (30, 2.042)])
def test_t_is_the_tables(freedom, t):
    assert student_t_95(freedom) == t


# mean 0.92, sample deviation 0.01, standard error 0.01 / sqrt(3), t(2) = 4.303
def test_interval_of_three_seeds_is_students():
    assert mean_interval([0.91, 0.92, 0.93]) == pytest.approx((0.92, 4.303 * 0.01 / 3**0.5))


def test_single_seed_has_no_interval():
    assert mean_interval([0.9]) == MeanInterval(0.9, None)
    assert str(mean_interval([0.9])) == "90.00%"


# variances 1e-4 and 4e-4 over 3: degrees of freedom (5/3)^2 / ((1/3)^2 / 2 + (4/3)^2 / 2) = 2.94, so t(2)
def test_difference_is_welchs_with_its_degrees_of_freedom_rounded_down():
    got = difference_interval([0.91, 0.92, 0.93], [0.88, 0.90, 0.92])
    assert got == pytest.approx((0.02, 4.303 * (5e-4 / 3) ** 0.5))


def test_difference_of_equal_variances_has_all_degrees_of_freedom():
    got = difference_interval([0.91, 0.92, 0.93], [0.88, 0.89, 0.90])  # t(4) = 2.776
    assert got == pytest.approx((0.03, 2.776 * (2e-4 / 3) ** 0.5))


def test_words_are_percents():
    assert str(MeanInterval(0.9234, 0.0031)) == "92.34% ± 0.31"
