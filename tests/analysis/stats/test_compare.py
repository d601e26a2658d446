"""Comparisons against values by hand."""

import shutil
from math import isnan

import numpy as np
import pandas as pd
import pytest
import yaml
from made_runs import make_run
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from two_strategies import BETTER, RANDOM, two

from al_runner.analysis import average_ranks, cases, labels_needed, paired_tests, penalties, results
from al_runner.analysis.stats.measures import SharedBudget, area, errors_at, labels_to
from al_runner.analysis.stats.paired import seeds_needed
from al_runner.analysis.table.files import as_csv
from al_runner.analysis.table.runs import load, table
from al_runner.analysis.tell import tables
from al_runner.analysis.tell.comparison import Comparison
from al_runner.analysis.tell.verdict import all_gaps, verdict
from al_runner.errors import UsageError


def run_of(errors, labelled):
    return pd.DataFrame({"labelled": labelled, "test_error": errors})


def test_measures_by_hand():
    run = run_of([0.8, 0.4, 0.2], [10, 20, 40])
    assert errors_at(run, [40, 30]).tolist() == pytest.approx([0.2, 0.3])
    assert np.isnan(errors_at(run, [9, 41])).all()
    assert area(run, SharedBudget((10, 20, 40))) == pytest.approx((0.6 * 10 + 0.3 * 20) / 30)
    assert area(run, SharedBudget((10, 40))) == pytest.approx(0.5)
    assert area(run, SharedBudget((15, 20, 30))) == pytest.approx((0.5 * 5 + 0.35 * 10) / 15)
    assert area(run, SharedBudget((20,))) == 0.4
    assert isnan(area(run, SharedBudget((10, 50))))
    assert labels_to(run, 0.4, SharedBudget((10, 20, 40))) == 20
    assert labels_to(run, 0.4, SharedBudget((10, 30))) == 30
    assert isnan(labels_to(run, 0.2, SharedBudget((10, 39))))


def test_results_are_paired_by_seed(tmp_path):
    two(tmp_path)
    make_run(tmp_path, "full", 0, [0.05], labelled=[4186])
    found = results(cases(load(tmp_path))).set_index("curve")
    final, base = np.array(BETTER)[:, 2], np.array(RANDOM)[:, 2]
    better = found.loc["kfac_vfe"]
    assert better["final"] == pytest.approx(final.mean())
    assert better["final_minus_baseline"] == pytest.approx((final - base).mean())
    half = stats.t.ppf(0.975, 3) * (final - base).std(ddof=1) / 2
    assert better["final_minus_baseline_half"] == pytest.approx(half)
    assert better["area"] == pytest.approx(np.mean([(a + 2 * b + c) / 4 for a, b, c in BETTER]))
    assert better["pairs"] == 4
    assert found["rank"].fillna(0).tolist() == [2, 1, 0]
    assert list(found.index) == ["random", "kfac_vfe", "full"]
    assert found.loc["full", "final"] == 0.05
    assert found.loc["random", "wall_seconds"] == pytest.approx(np.median([3 * (1.5 + s) + 1 for s in range(4)]))


def test_costs_are_those_within_the_budget_and_a_strategy_s_are_its_queries(tmp_path):
    """The third round is beyond the budget. The initial set takes 99 seconds, as a strategy of its own may."""
    frame = load(two(tmp_path))
    frame.loc[frame["round"] == 0, "select_seconds"] = 99.0
    found = results(cases(frame, at=16)).set_index("curve").loc["random"]
    assert found["select_seconds"] == 0.5
    assert found["wall_seconds"] == pytest.approx(np.median([2 * (1.5 + seed) + 99.5 for seed in range(4)]))


def test_the_p_against_the_baseline_is_corrected_for_its_own_comparisons(tmp_path):
    """Three strategies beside random are three comparisons with it, of six pairs; Holm takes 3, 2 and 1 times p."""
    errors = {
        "random": [0.40, 0.42, 0.39, 0.45],
        "entropy": [0.20, 0.23, 0.18, 0.26],
        "margin": [0.36, 0.41, 0.33, 0.44],
        "curriculum": [0.41, 0.40, 0.42, 0.43],
    }
    for name, ends in errors.items():
        for seed, end in enumerate(ends):
            make_run(tmp_path, name, seed, [0.9, end])
    found = results(cases(load(tmp_path))).set_index("curve")
    p = {name: stats.ttest_rel(errors[name], errors["random"]).pvalue for name in errors if name != "random"}
    first, second, third = sorted(p.values())
    assert [name for name in sorted(p, key=p.get)] == ["entropy", "margin", "curriculum"]
    assert found.loc["entropy", "final_minus_baseline_p"] == pytest.approx(3 * first)
    assert found.loc["margin", "final_minus_baseline_p"] == pytest.approx(max(3 * first, 2 * second))
    assert found.loc["curriculum", "final_minus_baseline_p"] == pytest.approx(max(2 * second, third))
    assert isnan(found.loc["random", "final_minus_baseline_p"])
    (shown,) = tables.shown_results(found.reset_index(), "random")
    assert [shown.rows[place][shown.head.index("p")] for place in (0, 3)] == ["-", f"{max(3 * first, 2 * second):.3f}"]


def test_seeds_are_planned_at_the_level_that_is_left_to_one_of_several_comparisons(tmp_path):
    """Three strategies beside random are three comparisons with it, and three pairs without it."""
    ends = {"random": [0.40, 0.42, 0.39], "a": [0.35, 0.41, 0.33], "b": [0.31, 0.38, 0.36], "c": [0.3, 0.31, 0.3]}
    for name, errors in ends.items():
        for seed, end in enumerate(errors):
            make_run(tmp_path, name, seed, [0.9, end])
    (case,) = cases(load(tmp_path))
    for left, right in (("a", "random"), ("a", "b")):
        differences = np.array(ends[left]) - np.array(ends[right])
        alone, one_of_three = (seeds_needed(differences.mean(), differences.std(ddof=1), p) for p in (0.05, 0.05 / 3))
        assert case.seeds_needed(left, right) == one_of_three > alone


def test_order_of_rows_does_not_matter(tmp_path):
    frame = load(two(tmp_path))
    shuffled = frame.sample(frac=1, random_state=1)
    for made in (results, labels_needed, paired_tests, penalties):
        pd.testing.assert_frame_equal(made(cases(frame)), made(cases(shuffled)))


def test_pairing_is_by_seed_where_seeds_differ(tmp_path):
    for seed, error in ((0, 0.5), (1, 0.4), (2, 0.3), (7, 0.9)):
        make_run(tmp_path, "random", seed, [0.9, error])
    for seed, error in ((2, 0.1), (1, 0.3), (0, 0.2), (5, 0.0)):
        make_run(tmp_path, "entropy", seed, [0.9, error])
    found_cases = cases(load(tmp_path))
    test = paired_tests(found_cases).set_index("measure").loc["final"]
    assert test["pairs"] == 3
    assert test["mean"] == pytest.approx(np.mean([0.2 - 0.5, 0.3 - 0.4, 0.1 - 0.3]))
    assert test["t_p"] == pytest.approx(stats.ttest_rel([0.2, 0.3, 0.1], [0.5, 0.4, 0.3]).pvalue)
    assert all_gaps(found_cases) == [
        "usps, usps_cnn: missing, though other strategies have it: random seed 5, entropy seed 7"
    ]


def test_unfinished_runs_are_named_and_left_out(tmp_path):
    two(tmp_path)
    make_run(tmp_path, "kfac_vfe", 4, [0.9, 0.01])
    make_run(tmp_path, "random", 4, [0.9, 0.5, 0.4])
    found_cases = cases(load(tmp_path))
    found = results(found_cases).set_index("curve")
    assert found.loc["kfac_vfe", ["seeds", "final"]].tolist() == [4, pytest.approx(0.27)]
    assert all_gaps(found_cases) == ["usps, usps_cnn: left out, short of 24 labels: kfac_vfe seed 4 (to 16)"]
    earlier = cases(load(tmp_path), at=16)
    assert results(earlier).set_index("curve").loc["kfac_vfe", "seeds"] == 5
    assert all_gaps(earlier) == []


def test_curves_of_different_steps_are_compared_where_both_are(tmp_path):
    for seed in range(3):
        make_run(tmp_path, "random", seed, [0.8, 0.4, 0.2], labelled=[8, 16, 32])
        make_run(tmp_path, "entropy", seed, [0.6, 0.1], labelled=[12, 32])
    case = cases(load(tmp_path))[0]
    assert case.budget == ((12, 32), 1)
    assert case.values("random", "area").tolist() == pytest.approx([(0.6 + 0.2) / 2] * 3)
    middle = cases(load(tmp_path), at=24)[0]
    assert middle.values("random", "final").tolist() == pytest.approx([0.3] * 3)


def test_one_curve_in_coarse_and_in_fine_steps_has_one_area_and_one_count(tmp_path):
    """A trapezoid of few points is too high over a convex curve, and fine steps have more chances of a low error."""
    for seed in range(3):
        fine = [1.0, 0.4, 0.35, 0.34, 0.33]
        make_run(tmp_path, "random", seed, fine, labelled=[8, 16, 24, 32, 40])
        make_run(tmp_path, "random", seed, fine[::2], labelled=[8, 24, 40], name="coarse")
    frame = load(tmp_path)
    (case,) = cases(frame)
    coarse, fine = (case.values(name, "area").tolist() for name in ("random-coarse", "random"))
    assert coarse == fine
    needed = labels_needed([case], targets=[0.4]).query("target == 0.4").set_index("curve")["labels"]
    assert needed.tolist() == [24, 24]


def test_the_budget_begins_where_the_finished_runs_begin(tmp_path):
    make_run(tmp_path, "random", 9, [0.3, 0.2], labelled=[16, 20])
    (case,) = cases(load(two(tmp_path)))
    assert case.budget.start == 8
    assert results([case])["start"].tolist() == [8, 8]
    assert "Mean error: from 8 to 24 labels." in Comparison.of(load(tmp_path)).shown_results()[0].note


def test_labels_needed_and_saving(tmp_path):
    two(tmp_path)
    table = labels_needed(cases(load(tmp_path)), targets=[0.4, 0.26])
    own = table[table["target"].isna()].set_index("curve")
    assert own.loc["random", "labels"] == 24
    assert own.loc["kfac_vfe", ["labels", "saving", "saving_half", "pairs"]].tolist() == pytest.approx(
        [16, 1 / 3, 0, 4]
    )
    assert own.loc["kfac_vfe", ["fewer", "fewer_half"]].tolist() == [8, 0]
    assert own.loc["random", ["saving", "fewer"]].isna().all()
    fixed = table[table["target"] == 0.4].set_index("curve")
    assert fixed.loc["random", "reached"] == 0
    assert fixed.loc["kfac_vfe", "labels"] == 16
    assert isnan(fixed.loc["kfac_vfe", "saving"])  # what random would need is not known
    some = table[table["target"] == 0.26].set_index("curve").loc["kfac_vfe"]
    assert some[["reached", "seeds"]].tolist() == [2, 4]
    assert isnan(some["labels"])


def test_targets_are_errors_that_the_budget_reaches(tmp_path):
    for seed in range(3):
        make_run(tmp_path, "random", seed, [0.8, 0.3, 0.15, 0.04])
    for at, expected in ((16, []), (24, [0.2]), (None, [0.2, 0.1, 0.05])):
        table = labels_needed(cases(load(tmp_path), at=at))
        assert table["target"].dropna().tolist() == expected


def test_penalties_over_two_cases(tmp_path):
    two(tmp_path)
    two(tmp_path, dataset="mnist")
    matrix = penalties(cases(load(tmp_path)))
    assert matrix.loc["kfac_vfe", "random"] == pytest.approx(2 * 2 / 3)
    assert matrix.loc["random", "kfac_vfe"] == 0
    assert matrix.loc["mean"].tolist() == pytest.approx([4 / 3, 0])


def test_average_ranks_over_data_sets(tmp_path):
    for dataset in ("usps", "mnist", "svhn"):
        two(tmp_path, dataset=dataset)
    assert average_ranks(cases(load(tmp_path / "usps"))).empty
    table = average_ranks(cases(load(tmp_path)))
    assert table["curve"].tolist() == ["kfac_vfe", "random"]
    assert table["rank"].tolist() == [1, 2]
    assert table["critical_difference"][0] == pytest.approx(1.960 * np.sqrt(6 / 18), abs=1e-3)


def test_an_impossible_budget_and_a_lone_full_are_refused(tmp_path):
    frame = load(two(tmp_path))
    for at in (7, 25):
        with pytest.raises(
            UsageError, match=rf"--at is {at}; the curves go from 8 to 24 labels \(dataset usps, model "
        ):
            cases(frame, at=at)
    with pytest.raises(UsageError, match="full is the only strategy"):
        cases(frame.assign(strategy="full"))


def test_another_baseline_and_a_missing_one(tmp_path):
    two(tmp_path)
    frame = load(tmp_path)
    comparison = Comparison.of(frame, baseline="kfac_vfe")
    assert comparison.results.set_index("curve").loc["random", "final_minus_baseline"] == pytest.approx(0.2)
    with pytest.raises(UsageError, match="--baseline: there is no curve entropy; choose one of kfac_vfe, random"):
        Comparison.of(frame, baseline="entropy")
    missing = Comparison.of(frame.query("strategy != 'random'"))
    assert missing.labels["target"].notna().all()
    assert "kfac_vfe is the only strategy here" in missing.verdicts()[0]
    assert "name another --baseline" in all_gaps(missing.cases)[0]


def rounds(root, many, curves=("random", "entropy"), seeds=3):
    rng = np.random.default_rng(many)
    errors = {name: rng.uniform(0.1, 0.9, (seeds, many)) for name in curves}
    for name, own in errors.items():
        for seed in range(seeds):
            make_run(root, name, seed, own[seed])
    return errors


@pytest.mark.parametrize(("many", "late"), [(1, 1), (10, 1), (19, 1), (20, 2), (39, 3), (100, 10), (157, 10)])
def test_the_final_error_is_the_mean_of_the_last_tenth_of_the_rounds(tmp_path, many, late):
    errors = rounds(tmp_path, many)
    (case,) = cases(load(tmp_path))
    found = results([case]).set_index("curve").loc["entropy"]
    assert len(case.budget.late) == found["final_rounds"] == late
    expected = errors["entropy"][:, -late:].mean(axis=1)
    assert case.values("entropy", "final").to_numpy() == pytest.approx(expected)
    assert case.values("entropy", "last").to_numpy() == pytest.approx(errors["entropy"][:, -1])
    assert (found["final"], found["last"]) == pytest.approx((expected.mean(), errors["entropy"][:, -1].mean()))
    gap = expected - errors["random"][:, -late:].mean(axis=1)
    assert found["final_minus_baseline"] == pytest.approx(gap.mean())


def test_the_late_rounds_end_at_the_budget_and_are_those_of_the_coarsest_curve(tmp_path):
    rounds(tmp_path, 40, ["random"])
    coarse = np.linspace(0.5, 0.3, 20)
    for seed in range(3):
        make_run(tmp_path, "entropy", seed, coarse, labelled=range(16, 336, 16))
    frame = load(tmp_path)
    assert cases(frame)[0].budget == ((*range(16, 336, 16),), 2)
    assert cases(frame)[0].values("entropy", "final").tolist() == pytest.approx([coarse[-2:].mean()] * 3)
    at = cases(frame, at=310)[0]
    assert at.budget == ((*range(16, 320, 16), 310), 2)
    fine = frame.query("strategy == 'random' and seed == 0").set_index("labelled")["test_error"]
    expected = (fine[304] + fine[304] * 0.25 + fine[312] * 0.75) / 2
    assert at.values("random", "final")[0] == pytest.approx(expected)


def test_the_interval_that_a_test_set_of_its_size_gives_an_error(tmp_path):
    two(tmp_path)
    frame = load(tmp_path)
    unknown, known = results(cases(frame)), results(cases(frame.assign(test_images=200)))
    assert unknown[["test_images", "final_test_low"]].isna().all(axis=None)
    row = known.set_index("curve").loc["kfac_vfe"]
    assert row["test_images"] == 200
    ends = proportion_confint(0.27 * 200, 200, method="wilson")
    assert (row["final_test_low"], row["final_test_high"]) == pytest.approx(ends)
    (shown,) = tables.shown_results(known, "random")
    assert f"{100 * ends[0]:.2f} to {100 * ends[1]:.2f}%" in shown.rows[1]
    assert "measured on 200 images" in shown.note
    assert "test set is not recorded" in tables.shown_results(unknown, "random")[0].note


def test_an_upper_line_is_shown_and_never_ranked(tmp_path):
    """It changes nothing that is said of strategies, though it ends lowest."""
    two(tmp_path / "without")
    two(tmp_path / "with")
    for seed in range(4):
        make_run(tmp_path / "with", "look_ahead", seed, [0.3, 0.1, 0.01], name="test" if seed % 2 else "")
        make_run(tmp_path / "with", "look_ahead", seed, [0.3, 0.1, 0.02], name="five")
    alone, beside = (cases(load(tmp_path / part)) for part in ("without", "with"))
    plain, found = (results(part).set_index("curve") for part in (alone, beside))
    assert found.loc["look_ahead-five", "final"] == pytest.approx(0.02)
    assert found["rank"].isna().tolist() == [not name.startswith(("random", "kfac")) for name in found.index]
    pd.testing.assert_frame_equal(found.loc[plain.index], plain)
    pd.testing.assert_frame_equal(paired_tests(beside), paired_tests(alone))
    pd.testing.assert_frame_equal(penalties(beside), penalties(alone))
    assert verdict(beside[0]) == verdict(alone[0])


def test_a_run_says_that_it_is_an_upper_line_in_its_configuration_and_in_results_csv(tmp_path):
    """Whatever its strategy is called; any other value than true is none."""
    two(tmp_path / "runs")
    for seed in range(4):
        for name, said in (("mine", True), ("other", "yes")):
            folder = make_run(tmp_path / "runs", name, seed, [0.3, 0.1, 0.01])
            config = yaml.safe_load((folder / "config.yaml").read_text())
            config["run"]["upper_line"] = said
            (folder / "config.yaml").write_text(yaml.safe_dump(config))
    frame = load(tmp_path / "runs")
    (tmp_path / "results.csv").write_bytes(as_csv(frame))
    shutil.rmtree(tmp_path / "runs")
    again = load(tmp_path)
    pd.testing.assert_frame_equal(again, frame)
    for part in (frame, again):
        (case,) = cases(part)
        assert "mine" in case.parts
        assert case.strategies == ["random", "kfac_vfe", "other"]
        assert "mine" not in verdict(case)
    assert "upper_line" not in load_without(frame)


def load_without(frame):
    """The columns of a table of the runs that are no upper lines."""
    return table(frame[frame["upper_line"] != 1].to_dict("records")).columns


def test_an_upper_line_is_not_the_one_strategy_that_a_ranking_lacks(tmp_path):
    for seed in range(3):
        make_run(tmp_path, "random", seed, [0.3, 0.2, 0.1])
        make_run(tmp_path, "look_ahead", seed, [0.3, 0.1, 0.05])
    (case,) = cases(load(tmp_path))
    assert case.ranked.empty
    assert verdict(case).startswith("Not ranked: random is the only strategy here")
    make_run(tmp_path, "entropy", 0, [0.3, 0.2, 0.1])
    assert "look_ahead" not in verdict(cases(load(tmp_path))[0])
