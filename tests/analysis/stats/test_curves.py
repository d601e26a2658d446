from itertools import product

import numpy as np
import pandas as pd
import pytest
from made_runs import make_run
from scipy import stats
from scipy.integrate import trapezoid

from al_runner.analysis.stats.case import cases
from al_runner.analysis.stats.curves import (
    Spread,
    by_seed,
    curves,
    difference_curves,
    split_by_curve,
)
from al_runner.analysis.stats.intervals import interval, mean_and_half
from al_runner.analysis.stats.results import results, summarise
from al_runner.analysis.table.runs import load
from al_runner.analysis.tell.tables import shown_results
from al_runner.errors import UsageError


def test_interval_by_hand():
    # s = 1, t(0.975, 2) = 4.302653 from any table: 4.302653 / sqrt(3)
    assert interval([1, 2, 3]) == pytest.approx((2, 2.484138), abs=1e-6)
    # t(0.975, 1) = 12.7062, s = sqrt(2) / 2, so half = 12.7062 / 2
    assert interval([0, 1]) == pytest.approx((0.5, 6.3531), abs=1e-4)


def test_interval_against_scipy():
    values = np.random.default_rng(0).normal(size=(4, 7))
    mean, half = mean_and_half(values)
    for row, m, h in zip(values, mean, half, strict=True):
        low, high = stats.t.interval(0.95, 6, loc=row.mean(), scale=stats.sem(row))
        assert (m - h, m + h) == pytest.approx((low, high))


@pytest.mark.parametrize("centre", ["mean", "median"])
def test_bootstrap_against_every_resampling(centre):
    values = np.array([[0.0, 1.0, 5.0, 30.0], [3.0, 3.0, 3.0, 3.0], [9.0, 8.0, 8.0, 0.0]])
    middle, low, high = Spread(centre, "bootstrap").of(values)
    everything = np.array(list(product(range(4), repeat=4)))
    for row, m, lo, hi in zip(values, middle, low, high, strict=True):
        resampled = getattr(np, centre)(row[everything], axis=1)
        assert m == getattr(np, centre)(row)
        # 2,000 drawn of 256: the ends are within the tails of 1.5 to 3.5%
        assert np.quantile(resampled, 0.015) <= lo <= np.quantile(resampled, 0.035)
        assert np.quantile(resampled, 0.965) <= hi <= np.quantile(resampled, 0.985)


def test_one_seed_has_no_interval_of_any_kind():
    for spread in (Spread(), Spread("mean", "bootstrap"), Spread("median", "seeds")):
        centre, low, high = spread.of(np.array([[0.3], [0.2]]))
        assert centre.tolist() == [0.3, 0.2]
        assert np.isnan([low, high]).all()


def test_a_t_interval_of_the_median_is_refused():
    with pytest.raises(UsageError, match="choose --interval bootstrap or seeds"):
        Spread("median", "t")


def test_ties_have_no_width_and_one_seed_has_no_interval():
    assert interval([0.25, 0.25, 0.25]) == (0.25, 0.0)
    mean, half = interval([0.3])
    assert mean == 0.3
    assert np.isnan(half)
    assert np.isnan(interval([])).all()


def test_the_mean_is_taken_only_where_all_seeds_are(tmp_path):
    make_run(tmp_path, "entropy", 0, [0.4, 0.3, 0.2, 0.1])
    make_run(tmp_path, "entropy", 1, [0.6, 0.5])
    make_run(tmp_path, "margin", 0, [0.5, 0.4], labelled=[10, 20])
    make_run(tmp_path, "margin", 1, [0.5, 0.4, 0.1], labelled=[10, 15, 20])
    make_run(tmp_path, "bald", 0, [0.5], labelled=[10])
    make_run(tmp_path, "bald", 1, [0.5], labelled=[11])
    entropy, margin = curves(load(tmp_path))  # bald's seeds share nothing
    assert entropy.labelled.tolist() == [8, 16]
    assert entropy.centre == pytest.approx([0.5, 0.4])
    assert entropy.seeds == 2
    assert margin.labelled.tolist() == [10, 20]
    assert margin.centre == pytest.approx([0.5, 0.25])


def test_variants_are_curves_of_their_own_in_a_fixed_order(tmp_path):
    for strategy, name in (("full", ""), ("kfac_vfe", "gamma1"), ("random", ""), ("kfac_vfe", ""), ("badge", "")):
        make_run(tmp_path, strategy, 0, [0.5], name=name)
    assert list(split_by_curve(load(tmp_path))) == ["random", "badge", "kfac_vfe", "kfac_vfe-gamma1", "full"]


def test_pairs_are_seeds_not_rows(tmp_path):
    # Read in any order, seed s of entropy is exactly 0.1 under seed s of random.
    for seed, error in ((0, 0.5), (1, 0.9), (10, 0.3), (2, 0.7)):
        make_run(tmp_path, "random", seed, [error, error])
    for seed, error in ((10, 0.2), (2, 0.6), (1, 0.8), (7, 0.05)):
        make_run(tmp_path, "entropy", seed, [error, error])
    (case,) = cases(load(tmp_path).sample(frac=1, random_state=0))
    for measure in ("final", "area"):
        test = case.test("entropy", "random", measure)
        assert test[:3] == pytest.approx((3, -0.1, 0), abs=1e-12)


def test_paired_difference_against_scipy(tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=(2, 5, 3))
    for seed in range(5):
        make_run(tmp_path, "entropy", seed, a[seed])
        make_run(tmp_path, "random", seed, b[seed])
    (case,) = cases(load(tmp_path))
    areas = (trapezoid(a, axis=1) / 2, trapezoid(b, axis=1) / 2)
    for measure, (left, right) in {"final": (a[:, -1], b[:, -1]), "area": areas}.items():
        found, expected = case.test("entropy", "random", measure), stats.ttest_rel(left, right)
        ends = expected.confidence_interval(0.95)
        assert (found.mean - found.half, found.mean + found.half) == pytest.approx(tuple(ends))
        assert found.t_p == pytest.approx(expected.pvalue)


def test_differences_are_taken_at_counts_and_seeds_that_both_have(tmp_path):
    for seed in range(2):
        make_run(tmp_path, "random", seed, [0.5, 0.4, 0.1])
        make_run(tmp_path, "entropy", seed, [0.4, 0.2])
    make_run(tmp_path, "margin", 1, [0.5, 0.4, 0.1])
    make_run(tmp_path, "bald", 0, [0.5], labelled=[9])
    (entropy, margin) = difference_curves(load(tmp_path))  # bald shares no count with random
    assert entropy.labelled.tolist() == [8, 16]
    assert entropy.centre == pytest.approx([-0.1, -0.2])
    assert (entropy.seeds, margin.seeds) == (2, 1)
    (case,) = cases(load(tmp_path).query("strategy != 'bald'"), at=16)
    assert case.test("entropy", "random", "final").mean == pytest.approx(-0.2)
    assert case.test("entropy", "random", "area").mean == pytest.approx(-0.15)
    assert case.test("margin", "random", "final").pairs == 1


def test_identical_curves_differ_by_exactly_nothing(tmp_path):
    for strategy in ("random", "entropy"):
        for seed in range(3):
            make_run(tmp_path, strategy, seed, [0.5, 0.3 + seed / 10])
    (case,) = cases(load(tmp_path))
    assert [case.test("entropy", "random", measure)[:3] for measure in ("final", "area")] == [(3, 0, 0)] * 2


def test_the_running_minimum_is_never_the_error(tmp_path):
    make_run(tmp_path, "entropy", 0, [0.5, 0.1, 0.4])
    frame = load(tmp_path)
    assert curves(frame)[0].centre.tolist() == [0.5, 0.1, 0.4]
    assert curves(frame, "best_test_error")[0].centre.tolist() == [0.5, 0.1, 0.1]
    row = summarise(frame).iloc[0]
    assert row["final"] == 0.4
    assert row["area"] == pytest.approx((0.5 / 2 + 0.1 + 0.4 / 2) / 2)


def test_by_seed_is_a_table_of_counts_and_seeds(tmp_path):
    make_run(tmp_path, "entropy", 3, [0.5, 0.1])
    make_run(tmp_path, "entropy", 1, [0.4, 0.2])
    table = by_seed(load(tmp_path), "test_error")
    assert table.index.tolist() == [8, 16]
    assert table.columns.tolist() == [1, 3]
    assert table.to_numpy().tolist() == [[0.4, 0.5], [0.2, 0.1]]


def test_al_plot_s_table_is_al_compare_s(tmp_path):
    """One of five seeds cut short is left out of both, rather than cutting the others short."""
    for seed in range(5):
        make_run(tmp_path, "random", seed, [0.5, 0.3, 0.2 + seed / 100])
        make_run(tmp_path, "entropy", seed, [0.5, 0.25, 0.1 + seed / 100] if seed != 3 else [0.5, 0.25])
    make_run(tmp_path, "full", 0, [0.03], labelled=[4186])
    make_run(tmp_path, "full", 0, [0.04], labelled=[999], dataset="mnist")
    summary = summarise(load(tmp_path))
    compared = results(cases(load(tmp_path)))
    pd.testing.assert_frame_equal(summary[summary["dataset"] == "usps"], compared)
    entropy = summary.set_index("curve").loc["entropy"]
    assert entropy["final"] == pytest.approx(np.mean([0.10, 0.11, 0.12, 0.14]))
    assert entropy["area"] == pytest.approx(np.mean([(0.5 + 2 * 0.25 + e) / 4 for e in (0.10, 0.11, 0.12, 0.14)]))
    assert entropy[["seeds", "pairs", "final_rounds"]].tolist() == [4, 4, 1]
    assert summary[["curve", "dataset", "final"]].iloc[-1].tolist() == ["full", "mnist", 0.04]
    usps, mnist = (table.as_text().splitlines() for table in shown_results(summary, "random"))
    assert [line.split()[0] for line in usps[2:-1]] == ["random", "entropy", "full"]
    assert usps[3].split()[:6] == ["entropy", "1", "4", "24", "11.75", "±"]
    assert mnist[2].split()[:4] == ["full", "-", "1", "999"]
