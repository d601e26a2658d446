"""The verdict says what the tables hold, and how sure that is."""

import numpy as np
import pytest
from made_runs import make_run
from scipy import stats
from two_strategies import RANDOM, two

from al_runner.analysis import cases, paired_tests, results
from al_runner.analysis.stats.paired import seeds_needed
from al_runner.analysis.table.runs import load
from al_runner.analysis.tell.comparison import Comparison
from al_runner.analysis.tell.verdict import refusal, verdict


def test_the_verdict_has_the_table_s_p_and_asks_for_more_seeds_than_there_are(tmp_path):
    """A lead that one test would see with the seeds at hand; four comparisons take more, at a level of 5% / 4."""
    ends = {"random": [0.40, 0.42, 0.39], "entropy": [0.31, 0.35, 0.27]}
    for name in ("margin", "curriculum", "egl"):
        ends[name] = [0.41, 0.41, 0.41]
    for name, errors in ends.items():
        for seed, end in enumerate(errors):
            make_run(tmp_path, name, seed, [0.9, end])
    (case,) = cases(load(tmp_path))
    pair = case.gaps("final")["entropy"]
    test, p = pair.test, pair.t_holm
    assert test.t_p < 0.05 < p
    assert test.seeds_needed <= 3
    needed = seeds_needed(test.mean, float(np.std(np.subtract(ends["entropy"], ends["random"]), ddof=1)), 0.05 / 4)
    assert needed > 3
    facts = f"(3 paired seeds, p = {p:.2g} after correction; about {needed:.0f} seeds would tell)"
    assert f"below random, which may be chance {facts}" in verdict(case)


def test_two_seeds_are_not_ranked_and_the_need_is_said(tmp_path):
    (case,) = cases(load(two(tmp_path, seeds=2)))
    assert case.ranked.empty
    assert results([case])["rank"].isna().all()
    assert refusal(case) == verdict(case)
    assert verdict(case).startswith(
        "Not ranked: a ranking needs 3 paired seeds of every strategy. Seeds that reach 24 labels: random 2, kfac_vfe 2"
    )
    assert "asks for about this many: kfac_vfe 3" in verdict(case)


def test_one_seed_has_no_variance_to_judge_by(tmp_path):
    (case,) = cases(load(two(tmp_path, seeds=1)))
    assert "One seed shows no variance" in verdict(case)
    assert paired_tests([case])[["half", "t_p", "wilcoxon_holm"]].isna().all(axis=None)


def test_seeds_that_are_alike_are_not_called_one_seed(tmp_path):
    for strategy, end in (("random", 0.5), ("entropy", 0.4)):
        for seed in range(2):
            make_run(tmp_path, strategy, seed, [0.6, end])
    frame = load(tmp_path)
    unknown = "so the number of seeds it takes is unknown; begin with 3."
    assert verdict(cases(frame)[0]).endswith(f"The differences to random are the same in every seed, {unknown}")
    make_run(tmp_path, "margin", 0, [0.6, 0.3])
    without = load(tmp_path).query("strategy != 'random'")
    assert verdict(cases(without)[0]).endswith(f"There is no random to compare with, {unknown}")


def test_a_shorter_budget_that_can_be_ranked_is_named(tmp_path):
    two(tmp_path, seeds=2)
    for strategy in ("random", "kfac_vfe"):
        make_run(tmp_path, strategy, 2, [0.7, 0.5])
    frame = load(tmp_path)
    assert "With --at 16 there are 3 paired seeds of every curve." in verdict(cases(frame)[0])
    assert len(cases(frame, at=16)[0].ranked) == 2


def test_verdict_says_how_sure_it_is(tmp_path):
    text = verdict(cases(load(two(tmp_path)))[0])
    assert text.startswith("With 24 labels kfac_vfe has the lowest error: 27.00 ± 3.44%. It is 20.00 ± ")
    assert text.endswith("points below random, beyond chance (4 paired seeds, p < 0.001 after correction).")


def test_identical_curves_are_no_lead(tmp_path):
    for strategy in ("random", "entropy"):
        for seed, errors in enumerate(RANDOM):
            make_run(tmp_path, strategy, seed, errors)
    case = cases(load(tmp_path))[0]
    assert paired_tests([case])[["mean", "t_p", "t_holm", "wilcoxon_p"]].to_numpy().tolist() == [[0, 1, 1, 1]] * 2
    assert verdict(case).endswith("It is equal to entropy in each of 4 paired seeds.")
    assert "chance" not in verdict(case)


def test_differences_that_cancel_are_told_apart_by_no_number_of_seeds(tmp_path):
    for strategy, ends in (("random", (0.25, 0.5, 0.5)), ("entropy", (0.5, 0.25, 0.5))):
        for seed, end in enumerate(ends):
            make_run(tmp_path, strategy, seed, [0.9, end])
    assert "3 paired seeds, p = 1 after correction; no number of seeds would tell" in verdict(cases(load(tmp_path))[0])


def test_more_seeds_than_anybody_runs_are_not_counted(tmp_path):
    for strategy, ends in (("random", (0.25, 0.5, 0.5)), ("entropy", (0.5, 0.25, 0.52))):
        for seed, end in enumerate(ends):
            make_run(tmp_path, strategy, seed, [0.9, end])
    case = cases(load(tmp_path))[0]
    assert 1000 < case.gaps("final")["entropy"].test.seeds_needed < np.inf
    assert "after correction; more than 1,000 seeds would tell" in verdict(case)


def test_cases_are_named_by_what_tells_them_apart(tmp_path):
    for learner in ("plain", "ensemble"):
        for strategy in ("random", "entropy"):
            make_run(tmp_path, strategy, 0, [0.9, 0.5], learner=learner)
    found = cases(load(tmp_path))
    assert [case.title for case in found] == ["usps, usps_cnn, ensemble", "usps, usps_cnn, plain"]
    assert [verdict.partition(":")[0] for verdict in Comparison.of(load(tmp_path)).verdicts()] == [
        case.title for case in found
    ]
    alone = cases(load(tmp_path).query("learner == 'plain'"))
    assert [case.title for case in alone] == ["usps, usps_cnn"]


def test_a_baseline_that_is_ahead_has_the_table_s_p_too(tmp_path):
    """Random leads entropy; badge has a pair fewer, margin has one, which has no p and does not count."""
    ends = {
        "random": [0.20, 0.22, 0.19],
        "entropy": [0.22, 0.22, 0.28],
        "badge": [0.30, 0.36],
        "margin": [0.4],
    }
    for name, errors in ends.items():
        for seed, end in enumerate(errors):
            make_run(tmp_path, name, seed, [0.9, end])
    (case,) = cases(load(tmp_path))
    p = {name: stats.ttest_rel(ends[name], ends["random"][: len(ends[name])]).pvalue for name in ("entropy", "badge")}
    assert 0.05 < p["badge"] < p["entropy"]
    table = results([case]).set_index("curve")
    assert table.loc["entropy", "final_minus_baseline_p"] == pytest.approx(max(2 * p["badge"], p["entropy"]))
    assert table.loc["badge", "final_minus_baseline_p"] == pytest.approx(2 * p["badge"])
    assert np.isnan(table.loc["margin", "final_minus_baseline_p"])
    shown = f"(3 paired seeds, p = {table.loc['entropy', 'final_minus_baseline_p']:.2g} after correction"
    assert f"below entropy, which may be chance {shown}" in verdict(case)


def test_a_pair_has_one_corrected_p_wherever_it_is_shown(tmp_path):
    two(tmp_path)
    for seed in range(4):
        make_run(tmp_path, "margin", seed, [0.8, 0.5, 0.29 + 0.01 * seed])
        make_run(tmp_path, "egl", seed, [0.8, 0.5, 0.31 + 0.03 * (seed % 2)])
    (case,) = cases(load(tmp_path))
    tests = paired_tests([case]).query("measure == 'final'").set_index(["first", "second"])
    against = results([case]).set_index("curve")["final_minus_baseline_p"].dropna()
    assert len(tests) == 6
    assert len(against) == 3
    for curve, p in against.items():
        assert tests.loc[(curve, "random"), "t_holm"] == p
        assert case.corrected_p("random", curve) == case.corrected_p(curve, "random") == p
    others = tests.query("second != 'random'")
    assert len(others) == 3
    ordered = others.sort_values("t_p")
    by_hand = np.minimum(np.maximum.accumulate(ordered["t_p"].to_numpy() * [3, 2, 1]), 1)
    assert ordered["t_holm"].to_numpy() == pytest.approx(by_hand)


def sized(root, **sizes):
    return load(root).assign(**sizes)


def test_a_budget_that_leaves_little_to_choose_is_warned_of(tmp_path):
    two(tmp_path)
    assert "Caution" not in verdict(cases(load(tmp_path))[0])
    assert "24 of all 30 labels are bought by then" in verdict(cases(sized(tmp_path, pool_images=30))[0])
    assert "Caution" not in verdict(cases(sized(tmp_path, pool_images=31))[0])
    make_run(tmp_path, "full", 0, [0.1], labelled=[25])
    frame = load(tmp_path)
    assert "24 of all 25 labels" in verdict(cases(frame)[0])
    assert "Caution" not in verdict(cases(frame, at=16)[0])


def test_few_test_images_are_warned_of(tmp_path):
    two(tmp_path)
    said = verdict(cases(sized(tmp_path, test_images=90))[0])
    assert said.endswith("Caution: errors are measured on 90 test images, of which one is 1.1 points.")
    assert "Caution" not in verdict(cases(sized(tmp_path, test_images=1000))[0])


def ends(root, by_curve, **more):
    """Runs of one purchase that end at these errors, one seed each."""
    for name, errors in by_curve.items():
        for seed, end in enumerate(errors):
            make_run(root, name, seed, [0.9, end], **more)
    (case,) = cases(load(root))
    return case


def test_a_curve_with_few_seeds_does_not_decide_the_ranking_of_the_others(tmp_path):
    """On the first three seeds "beta" is lower, on all twelve "alpha" is."""
    alpha = [0.30, 0.31, 0.32, *(0.11, 0.12, 0.13) * 3]
    beta = [0.20, 0.21, 0.23, *(0.21, 0.22, 0.24) * 3]
    case = ends(tmp_path, {"random": [0.5, 0.51, 0.52] * 4, "alpha": alpha, "beta": beta, "gamma": [0.01, 0.02, 0.03]})
    assert list(case.ranked.index) == ["alpha", "beta", "random"]
    assert case.unranked == {"gamma": 3}
    assert case.lowest("area") == ["alpha"]
    assert results([case]).set_index("curve")["rank"].tolist()[:3] == [3, 1, 2]
    said = verdict(case)
    assert "alpha has the lowest error: " in said
    assert "Not ranked, because other strategies have more seeds: gamma (3 seeds)." in said


def test_two_curves_are_ranked_by_the_seeds_that_they_share(tmp_path):
    case = ends(tmp_path, {"random": [0.5, 0.51, 0.52] * 4, "alpha": [0.3, 0.31, 0.32]})
    assert list(case.ranked.index) == ["alpha", "random"]
    assert "alpha has the lowest error: " in verdict(case)


def test_a_baseline_with_few_seeds_is_said_to_have_too_few(tmp_path):
    many = {"alpha": [0.3, 0.31, 0.32] * 3, "beta": [0.4, 0.41, 0.42] * 3}
    said = verdict(ends(tmp_path, {"random": [0.5, 0.51, 0.52], **many}))
    assert "There is no random with enough finished seeds to hold it against" in said
    assert "Not ranked, because other strategies have more seeds: random (3 seeds)." in said


def test_nothing_is_said_to_beat_the_baseline_only_of_what_is_ranked(tmp_path):
    best = {"random": [0.2, 0.21, 0.2], "worse": [0.3, 0.31, 0.32]}
    assert "So no other strategy beats it." in verdict(ends(tmp_path / "all", best))
    assert "So none of the ranked strategies beats it." in verdict(
        ends(tmp_path / "few", {**best, "low": [0.01, 0.02]})
    )


def test_a_lead_over_the_shared_seeds_that_all_seeds_turn_round_is_said(tmp_path):
    """ "third" has half of the seeds, so it is ranked, and the ranking has its seeds alone."""
    first, second = [0.2, 0.21, 0.22, 0.5, 0.52, 0.54], [0.3, 0.31, 0.32, 0.1, 0.11, 0.12]
    case = ends(tmp_path, {"random": first, "second": second, "third": [0.6, 0.61, 0.62]})
    assert list(case.ranked.index) == ["random", "second", "third"]
    assert "But over all 6 seeds that both have, it is 15.50 ± " in verdict(case)
    assert " points above second" in verdict(case)


def test_the_same_lead_in_every_seed_is_no_chance(tmp_path):
    said = verdict(ends(tmp_path, {"random": [0.5, 0.6, 0.7], "better": [0.4, 0.5, 0.6]}))
    assert "10.00 ± 0.00 points below random, the same in each of 3 paired seeds" in said
    assert "chance" not in said


def test_the_lowest_mean_error_is_compared_in_pairs(tmp_path):
    for seed in range(4):
        make_run(tmp_path, "random", seed, [0.8, 0.7, 0.6])
        make_run(tmp_path, "fast", seed, [0.8, 0.3 + 0.01 * seed, 0.31 + 0.02 * seed])
        make_run(tmp_path, "late", seed, [0.8, 0.7 - 0.01 * seed, 0.1])
    said = verdict(cases(load(tmp_path))[0])
    assert "late has the lowest error: 10.00" in said
    assert "On average over the whole budget fast has the lowest error: " in said
    assert "points below late, beyond chance (4 paired seeds, p = " in said


def test_equal_curves_share_a_rank(tmp_path):
    same = [0.2, 0.3, 0.4]
    case = ends(tmp_path, {"random": same, "a": same, "b": same, "c": [0.5, 0.6, 0.7]})
    assert results([case]).set_index("curve")["rank"].to_dict() == {"random": 1, "a": 1, "b": 1, "c": 4}


def test_test_sets_of_several_sizes_are_named_and_each_curve_has_its_own(tmp_path):
    frame = load(two(tmp_path))
    frame["test_images"] = np.where(frame["strategy"] == "random", 10_000.0, 100.0)
    (case,) = cases(frame)
    assert "Caution: the runs don't share a test set; they were measured on 100, 10,000 images." in verdict(case)
    assert "measured on 100 test images" in verdict(case)
    assert results([case]).set_index("curve")["test_images"].to_dict() == {"random": 10_000, "kfac_vfe": 100}


def test_a_strategy_without_a_finished_seed_is_not_said_to_have_one(tmp_path):
    for seed in range(3):
        make_run(tmp_path, "random", seed, [0.9, 0.5 + seed / 100])
        make_run(tmp_path, "egl", seed, [0.9])
    (case,) = cases(load(tmp_path))
    assert "No strategy shares a finished seed with random, so the number" in refusal(case)
