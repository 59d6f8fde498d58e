"""Statistics give what textbooks and papers work out by hand."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_helpers import statistics
from mnist_helpers.statistics import Estimate

# Student's ten sleepers: hours gained with each of two drugs (Student 1908, The probable error of a mean, section IX).
FIRST_DRUG = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND_DRUG = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def rounded(estimate: Estimate, digits: int = 2) -> list[float]:
    return [round(number, digits) for number in (estimate.value, estimate.low, estimate.high)]


def test_scatter_is_written_as_mean_and_deviation():
    assert statistics.mean_and_deviation([0.96, 0.98], ".1%") == "97.0% ± 1.4%"
    assert statistics.mean_and_deviation([1, 2]) == "1.500 ± 0.707"


def test_an_estimate_is_written_with_its_interval():
    share = Estimate(0.0046, 0.0031, 0.0061)
    with pytest.raises(FrozenInstanceError):
        share.value = 1.0
    assert f"{share:.1%}" == "0.5% [0.3%, 0.6%]"
    assert f"{share.points:+.2f}" == "+0.46 [+0.31, +0.61]"


@pytest.mark.parametrize(
    ("low", "high", "inside"), [(-0.4, 0.3, True), (-0.6, 0.3, False), (-0.4, 0.6, False), (-0.5, 0.3, False)]
)
def test_an_estimate_is_within_a_margin_if_all_of_its_interval_is(low, high, inside):
    assert Estimate(0.0, low, high).within(0.5) is inside


def test_students_interval_for_the_sleepers():
    """R's documentation of `sleep` gives 0.70 to 2.46 for the paired difference, and -0.205 to 3.365 for Welch's."""
    assert rounded(statistics.difference(SECOND_DRUG, FIRST_DRUG, paired=True)) == [1.58, 0.70, 2.46]
    assert rounded(statistics.difference(SECOND_DRUG, FIRST_DRUG), 3) == [1.58, -0.205, 3.365]
    gains = np.subtract(SECOND_DRUG, FIRST_DRUG)
    assert rounded(statistics.mean(gains)) == [1.58, 0.70, 2.46]


def test_welchs_interval_where_scatter_and_numbers_differ():
    """Example 2 of Wikipedia's article on Welch's test: t = -1.57 with 9.9 degrees of freedom."""
    first = [17.2, 20.9, 22.6, 18.1, 21.7, 21.4, 23.5, 24.2, 14.7, 21.8]
    second = [21.5, 22.8, 21.0, 23.0, 21.6, 23.6, 22.5, 20.7, 23.4, 21.8]
    second += [20.7, 21.7, 21.5, 22.5, 23.6, 21.5, 22.5, 23.5, 21.5, 21.8]
    estimate = statistics.difference(first, second)
    variances = np.var(first, ddof=1) / len(first), np.var(second, ddof=1) / len(second)
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 9 + variances[1] ** 2 / 19)
    assert freedom == pytest.approx(9.9, abs=0.1)
    assert (estimate.high - estimate.low) / 2 / np.sqrt(sum(variances)) == pytest.approx(2.23, abs=0.01)  # t at 9.9


def test_more_comparisons_widen_an_interval():
    """Ten sleepers: Student's t with nine degrees of freedom is 2.262 at 95 %, and 3.690 at 99.5 %."""
    one = statistics.difference(SECOND_DRUG, FIRST_DRUG, paired=True)
    ten = statistics.difference(SECOND_DRUG, FIRST_DRUG, paired=True, comparisons=10)
    assert (ten.high - ten.low) / (one.high - one.low) == pytest.approx(3.690 / 2.262, abs=1e-3)


@pytest.mark.parametrize(
    ("right", "images", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_a_share_has_clopper_and_pearsons_interval(right, images, low, high):
    """Table I of Newcombe 1998, Two-sided confidence intervals for the single proportion, method 5."""
    estimate = statistics.share(right, images)
    assert estimate.value == right / images
    assert [estimate.low, estimate.high] == pytest.approx([low, high], abs=5e-5)


def test_mcnemars_test_counts_only_what_one_of_two_read():
    """Six images of one kind against sixteen of the other: twice the binomial tail, (1 + 22 + … + 74,613) / 2^22."""
    first = np.array([True] * 6 + [False] * 16 + [True] * 500 + [False] * 7)
    second = np.array([False] * 6 + [True] * 16 + [True] * 500 + [False] * 7)
    tail = 1 + 22 + 231 + 1_540 + 7_315 + 26_334 + 74_613
    assert statistics.mcnemar(first, second) == pytest.approx(2 * tail / 2**22)
    assert statistics.mcnemar(second, first) == pytest.approx(2 * tail / 2**22)
    assert statistics.mcnemar(first, first) == 1.0


def test_on_the_same_images_only_the_differences_scatter():
    """600 of 10,000 images tell two networks apart, 350 for one and 250 for the other: 0.01 ± 1.96 × 0.00245."""
    read = np.ones(10_000, dtype=bool)
    one, other = read.copy(), read.copy()
    one[:250] = False
    other[250:600] = False
    estimate = statistics.difference_on_same_images(one, other)
    assert estimate.value == pytest.approx(0.01)
    assert estimate.high - estimate.value == pytest.approx(1.96 * np.sqrt(0.06 - 0.0001) / 100, rel=1e-3)
    several = statistics.difference_on_same_images([one, one, other], [other, other, one])
    assert several.value == pytest.approx(0.01 / 3)


@given(st.lists(st.integers(-1_000, 1_000), min_size=2, max_size=20), st.integers(-1_000, 1_000))
def test_a_constant_difference_is_certain_when_paired(values, shift):
    estimate = statistics.difference(np.add(values, shift), values, paired=True)
    assert [estimate.value, estimate.low, estimate.high] == pytest.approx([shift] * 3)


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=20), st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=20))
def test_a_difference_turned_round_has_the_same_interval_turned_round(after, before):
    forth, back = statistics.difference(after, before), statistics.difference(before, after)
    np.testing.assert_allclose([forth.value, forth.low, forth.high], [-back.value, -back.high, -back.low], atol=1e-6)


@pytest.mark.parametrize("estimate", [lambda: statistics.mean([0.5]), lambda: statistics.difference([0.5], [1, 2])])
def test_one_seed_has_no_interval(estimate):
    with pytest.raises(ValueError, match="a single value, which says nothing of scatter; expected those of two seeds"):
        estimate()


@pytest.mark.parametrize(
    ("parts", "words"),
    [((True, True), "holds"), ((True, False), "holds in part"), ((False, False), "does not hold"), ((True,), "holds")],
)
def test_a_verdict_is_that_of_the_parts(parts, words):
    assert statistics.verdict(*parts) == words
