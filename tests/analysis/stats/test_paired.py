"""Statistics against values by hand, statsmodels, scikit-posthocs and published tables."""

from itertools import product
from math import inf, isnan, sqrt

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from scipy import stats
from statsmodels.stats.power import TTestPower

from al_runner.analysis.stats.paired import each_paired_test, holm, paired_test, ranks, seeds_needed, share_beaten


def signed_rank_p(values):
    """Wilcoxon's two-sided p by all 2^S sign flips, zeros left out, ties at their mean rank."""
    kept = np.array([v for v in values if v != 0])
    order = stats.rankdata(np.abs(kept))
    held = order[kept > 0].sum()
    middle = order.sum() / 2
    sums = [order[list(map(bool, signs))].sum() for signs in product((0, 1), repeat=len(kept))]
    return np.mean([abs(s - middle) >= abs(held - middle) - 1e-9 for s in sums])


def test_student_by_hand():
    test = paired_test([1.0, 2.0, 3.0])  # mean 2, s = 1, t = 2 sqrt 3 with 2 degrees of freedom
    t = 2 * sqrt(3)
    assert (test.pairs, test.mean) == (3, 2)
    assert test.t_p == pytest.approx(1 - t / sqrt(2 + t**2))  # the t distribution's tails for 2 degrees
    assert test.half == pytest.approx(4.302652729911275 / sqrt(3))
    assert test.t_p == pytest.approx(stats.ttest_rel([2.0, 5.0, 4.0], [1.0, 3.0, 1.0]).pvalue)


@pytest.mark.parametrize("values", [[1, 2, 3], [1, 2, -3, 4, 5], [1, 1, -1, 2, 2], [0, 0, 1, -2, 3, 3], [1, 1, 1]])
def test_signed_ranks_against_every_flip_ties_and_zeros_included(values):
    assert paired_test(values).wilcoxon_p == pytest.approx(signed_rank_p(values))


@pytest.mark.parametrize("size", [2, 3, 13, 14, 20])
def test_signed_ranks_with_ties_and_zeros_are_scipys(size):
    """From 14 on the p value is that of a normal approximation."""
    rng = np.random.default_rng(size)
    for values in [[0.0] * (size - 1) + [1.0], *rng.integers(-3, 4, (4, size))]:
        expected = stats.wilcoxon(values).pvalue if np.any(values) else 1.0
        assert paired_test(values).wilcoxon_p == pytest.approx(expected, rel=1e-12)


def test_equal_differences_are_ties_though_their_last_bits_differ():
    left, right = np.array([0.1, 0.4, 0.5]), np.array([0.3, 0.3, 0.3])
    assert len(set(np.abs(left - right))) == 3  # -.2, .1 and .2 of which two are equal
    assert paired_test(left - right).wilcoxon_p == 1.0


def test_signed_ranks_of_150_comparisons_of_error_rates_against_every_flip():
    """Ten seeds, errors in images of 2,007: exact p from whole numbers, where nothing is rounded."""
    rng = np.random.default_rng(0)
    flips = np.array(list(product((0, 1), repeat=10)))
    pairs = rng.integers(40, 60, (150, 2, 10))
    wrong = tied = 0
    for (first, second), test in zip(pairs, each_paired_test(pairs[:, 0] / 2007 - pairs[:, 1] / 2007), strict=True):
        kept = (first - second)[first != second]
        order = stats.rankdata(np.abs(kept))
        tied += len(set(order)) < len(order)
        held, middle = order[kept > 0].sum(), order.sum() / 2
        sums = flips[:, : len(kept)] @ order
        exact = np.mean(np.abs(sums - middle) >= abs(held - middle) - 1e-9)
        wrong += test.wilcoxon_p != pytest.approx(exact)
    assert tied > 120
    assert wrong == 0


def test_many_samples_at_once_are_tested_as_one_by_one():
    rng = np.random.default_rng(0)
    exact = [rng.normal(size=size) for size in (2, 3, 3, 10, 10, 10, 50, 51, 51)]
    tied = [rng.integers(-3, 4, size) / 8 for size in (3, 3, 10, 10, 20, 51)]
    samples = [*exact, *tied, np.zeros(3), np.zeros(10), np.full(3, 0.5), [0.25], []]
    mixed = rng.permutation(len(samples))
    together = each_paired_test(samples[place] for place in mixed)
    alone = [paired_test(samples[place]) for place in mixed]
    np.testing.assert_array_equal(np.array(together), np.array(alone))
    for place, sample in enumerate(exact):
        test = together[list(mixed).index(place)]
        assert test.t_p == pytest.approx(stats.ttest_1samp(sample, 0).pvalue)
        assert test.wilcoxon_p == pytest.approx(stats.wilcoxon(sample).pvalue)


def test_equal_samples_do_not_differ():
    assert paired_test([0.0, 0.0, 1e-17]) == (3, 0, 0, 1, 1, inf)


def test_differences_without_variance_have_no_t_test():
    test = paired_test([0.1 + 0.2, 0.3, 0.3])
    assert isnan(test.t_p)
    assert isnan(test.seeds_needed)
    assert test.wilcoxon_p == 0.25


def test_one_or_no_pair_says_nothing():
    one, none = paired_test([0.5]), paired_test([])
    assert (one.pairs, one.mean, none.pairs) == (1, 0.5, 0)
    assert all(map(isnan, [*one[2:], *none[1:]]))


@pytest.mark.parametrize("effect", [0.05, 0.3, 1.0, 1.7])
def test_seeds_needed_against_statsmodels(effect):
    exact = TTestPower().solve_power(effect_size=effect, alpha=0.05, power=0.8)
    assert seeds_needed(-effect / 10, 0.1) == np.ceil(exact)


def test_a_comparison_plans_by_the_unbiased_deviation_of_its_differences():
    differences = [0.01, 0.04, 0.1]
    assert paired_test(differences).seeds_needed == seeds_needed(0.05, np.std(differences, ddof=1)) == 9
    assert seeds_needed(0.05, np.std(differences)) == 7


def test_seeds_needed_at_its_ends():
    assert seeds_needed(0.0, 1.0) == inf
    assert seeds_needed(1e-5, 1.0) == inf
    assert [seeds_needed(effect, 1.0) for effect in (4.0, 9.0, 50.0)] == [3, 3, 2]  # powers 0.908, 0.68 of 2, 1


def test_holm_by_hand():
    p = [0.01, np.nan, 0.04, 0.03]
    assert holm(p) == pytest.approx([0.03, np.nan, 0.06, 0.06], nan_ok=True)
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert np.isnan(holm([np.nan])).all()
    assert holm([]).size == 0


def curve(values, counts=(8, 16, 24)):
    return pd.DataFrame(values, index=list(counts), columns=[0, 1, 2])


def test_share_beaten_counts_significant_rounds():
    right = curve([[0.5, 0.6, 0.7], [0.4, 0.5, 0.6], [0.3, 0.3, 0.3]])
    left = right - np.array([[0.10, 0.11, 0.12], [0.1, -0.1, 0.3], [0.0, 0.0, 0.0]])  # beyond chance, not, equal
    assert share_beaten(left, right) == pytest.approx(1 / 3)
    assert share_beaten(right, left) == 0
    assert share_beaten(left.loc[[8]], right) == 1  # where both have been measured
    assert isnan(share_beaten(left[[0]], right))
    assert isnan(share_beaten(left.loc[[8]], right.loc[[16]]))


def test_better_by_the_same_amount_in_every_seed_is_better():
    right = curve([[0.4, 0.5, 0.6], [0.4, 0.5, 0.6]], [8, 16])
    left = curve([[0.3, 0.4, 0.5], [0.5, 0.6, 0.7]], [8, 16])  # .1 less, then .1 more
    assert len(set((left - right).to_numpy().ravel())) > 2  # the subtraction rounds
    assert share_beaten(left, right) == share_beaten(right, left) == 0.5


def test_share_beaten_takes_seeds_by_name():
    right = curve([[0.1, 0.5, 0.9]], [8])
    left = (right - np.array([[0.010, 0.011, 0.012]]))[[2, 0, 1]]
    assert share_beaten(left, right) == 1


# Demsar (2006), table 5a: critical values of Nemenyi's test at 5%
NEMENYI = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}


@pytest.mark.parametrize(("many", "q"), NEMENYI.items())
def test_critical_differences_are_demsars(many, q):
    errors = np.random.default_rng(0).random((14, many))
    assert ranks(errors).critical / sqrt(many * (many + 1) / 84) == pytest.approx(q, abs=1.1e-3)


def test_ranks_with_ties_against_scipy_and_scikit_posthocs():
    errors = np.array([[1, 2, 2], [1, 3, 2], [2, 1, 3], [1, 2, 3], [1, 2, 4]], dtype=float)
    found = ranks(errors)
    assert found.mean == pytest.approx([6 / 5, 10.5 / 5, 13.5 / 5])
    assert found.friedman_p == stats.friedmanchisquare(*errors.T).pvalue
    apart = scikit_posthocs.posthoc_nemenyi_friedman(errors).to_numpy() < 0.05
    assert ((np.abs(np.subtract.outer(found.mean, found.mean)) > found.critical) == apart).all()


def test_equal_errors_share_a_rank_though_their_last_bits_differ():
    found = ranks(np.array([[0.1 + 0.2, 0.3, 0.5], [0.2, 0.1, 0.4]]))
    assert found.mean.tolist() == [1.75, 1.25, 3]


def test_one_data_set_has_no_critical_difference():
    found = ranks(np.array([[0.1, 0.3, 0.2]]))
    assert found.mean.tolist() == [1, 3, 2]
    assert isnan(found.critical)
    assert isnan(found.friedman_p)
