from math import isnan

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support.made_runs import make_run

from al_runner import analysis as compare
from al_runner.analysis import cli_compare
from al_runner.analysis.stats.measures import Budget, area, error_at, labels_to
from al_runner.analysis.table.names import across, curve_names
from al_runner.analysis.table.runs import load
from al_runner.analysis.tell import tables
from al_runner.analysis.tell.comparison import Comparison
from al_runner.analysis.tell.verdict import all_gaps, refusal, verdict
from al_runner.errors import UsageError

RANDOM = [[0.8, 0.6, 0.50], [0.8, 0.5, 0.44], [0.9, 0.6, 0.48], [0.7, 0.6, 0.46]]
BETTER = [[0.8, 0.4, 0.30], [0.8, 0.4, 0.25], [0.9, 0.3, 0.27], [0.7, 0.4, 0.26]]


def two(root, seeds=4, **more):
    for strategy, curves in (("random", RANDOM), ("kfac_vfe", BETTER)):
        for seed, errors in list(enumerate(curves))[:seeds]:
            make_run(root, strategy, seed, errors, **more)
    return root


def run_of(errors, labelled):
    return pd.DataFrame({"labelled": labelled, "test_error": errors})


def test_measures_by_hand():
    run = run_of([0.8, 0.4, 0.2], [10, 20, 40])
    assert error_at(run, 40) == 0.2
    assert error_at(run, 30) == pytest.approx(0.3)
    assert isnan(error_at(run, 41))
    assert isnan(error_at(run, 9))
    assert area(run, Budget(10, 40)) == pytest.approx((0.6 * 10 + 0.3 * 20) / 30)
    assert area(run, Budget(15, 30)) == pytest.approx((0.5 * 5 + 0.35 * 10) / 15)
    assert area(run, Budget(20, 20)) == 0.4
    assert isnan(area(run, Budget(10, 50)))
    assert labels_to(run, 0.4, 40) == 20
    assert isnan(labels_to(run, 0.2, 39))


def test_results_are_paired_by_seed(tmp_path):
    two(tmp_path)
    make_run(tmp_path, "full", 0, [0.05], labelled=[4186])
    found = compare.results(compare.cases(load(tmp_path))).set_index("curve")
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
    found = compare.results(compare.cases(load(tmp_path))).set_index("curve")
    p = {name: stats.ttest_rel(errors[name], errors["random"]).pvalue for name in errors if name != "random"}
    first, second, third = sorted(p.values())
    assert [name for name in sorted(p, key=p.get)] == ["entropy", "margin", "curriculum"]
    assert found.loc["entropy", "final_minus_baseline_p"] == pytest.approx(3 * first)
    assert found.loc["margin", "final_minus_baseline_p"] == pytest.approx(max(3 * first, 2 * second))
    assert found.loc["curriculum", "final_minus_baseline_p"] == pytest.approx(max(2 * second, third))
    assert isnan(found.loc["random", "final_minus_baseline_p"])
    (shown,) = tables.shown_results(found.reset_index(), "random")
    assert [shown.rows[place][shown.head.index("p")] for place in (0, 3)] == ["-", f"{max(3 * first, 2 * second):.3f}"]


def test_the_verdict_has_the_table_s_p_and_asks_for_more_seeds_than_there_are(tmp_path):
    """A lead that one test would see with the seeds at hand, and four comparisons leave unsure."""
    ends = {"random": [0.40, 0.42, 0.39], "entropy": [0.31, 0.35, 0.27]}
    for name in ("margin", "curriculum", "egl"):
        ends[name] = [0.41, 0.41, 0.41]
    for name, errors in ends.items():
        for seed, end in enumerate(errors):
            make_run(tmp_path, name, seed, [0.9, end])
    (case,) = compare.cases(load(tmp_path))
    test, p = case.against_baseline("final")["entropy"]
    assert test.t_p < 0.05 < p
    assert test.seeds_needed <= 3
    assert f"over random (3 paired seeds, p = {p:.2g} by Holm; a few more seeds would tell)" in verdict(case)


def test_order_of_rows_does_not_matter(tmp_path):
    frame = load(two(tmp_path))
    shuffled = frame.sample(frac=1, random_state=1)
    for table in (compare.results, compare.labels_needed, compare.paired_tests, compare.penalties):
        pd.testing.assert_frame_equal(table(compare.cases(frame)), table(compare.cases(shuffled)))


def test_pairing_is_by_seed_where_seeds_differ(tmp_path):
    for seed, error in ((0, 0.5), (1, 0.4), (2, 0.3), (7, 0.9)):
        make_run(tmp_path, "random", seed, [0.9, error])
    for seed, error in ((2, 0.1), (1, 0.3), (0, 0.2), (5, 0.0)):
        make_run(tmp_path, "entropy", seed, [0.9, error])
    cases = compare.cases(load(tmp_path))
    test = compare.paired_tests(cases).set_index("measure").loc["final"]
    assert test["pairs"] == 3
    assert test["mean"] == pytest.approx(np.mean([0.2 - 0.5, 0.3 - 0.4, 0.1 - 0.3]))
    assert test["t_p"] == pytest.approx(stats.ttest_rel([0.2, 0.3, 0.1], [0.5, 0.4, 0.3]).pvalue)
    assert all_gaps(cases) == [
        "usps, usps_cnn: missing, though other strategies have it: random seed 5, entropy seed 7"
    ]


def test_holm_counts_all_pairs_of_a_measure(tmp_path):
    two(tmp_path)
    for seed in range(4):
        make_run(tmp_path, "margin", seed, [0.8, 0.5, 0.4 + 0.01 * seed])
    table = compare.paired_tests(compare.cases(load(tmp_path)))
    final = table[table["measure"] == "final"]
    assert len(final) == 3
    ordered = final.sort_values("t_p")
    by_hand = np.minimum(np.maximum.accumulate(ordered["t_p"].to_numpy() * [3, 2, 1]), 1)
    assert ordered["t_holm"].to_numpy() == pytest.approx(by_hand)


def test_unfinished_runs_are_named_and_left_out(tmp_path):
    two(tmp_path)
    make_run(tmp_path, "kfac_vfe", 4, [0.9, 0.01])
    make_run(tmp_path, "random", 4, [0.9, 0.5, 0.4])
    cases = compare.cases(load(tmp_path))
    found = compare.results(cases).set_index("curve")
    assert found.loc["kfac_vfe", ["seeds", "final"]].tolist() == [4, pytest.approx(0.27)]
    assert all_gaps(cases) == ["usps, usps_cnn: left out, short of 24 labels: kfac_vfe seed 4 (to 16)"]
    earlier = compare.cases(load(tmp_path), at=16)
    assert compare.results(earlier).set_index("curve").loc["kfac_vfe", "seeds"] == 5
    assert all_gaps(earlier) == []


def test_curves_of_different_steps_are_compared_where_both_are(tmp_path):
    for seed in range(3):
        make_run(tmp_path, "random", seed, [0.8, 0.4, 0.2], labelled=[8, 16, 32])
        make_run(tmp_path, "entropy", seed, [0.6, 0.1], labelled=[12, 32])
    case = compare.cases(load(tmp_path))[0]
    assert case.budget == (12, 32)
    assert case.values("random", "area").tolist() == pytest.approx([((0.6 + 0.4) * 2 + (0.4 + 0.2) * 8) / 20] * 3)
    middle = compare.cases(load(tmp_path), at=24)[0]
    assert middle.values("random", "final").tolist() == pytest.approx([0.3] * 3)


def test_labels_needed_and_saving(tmp_path):
    two(tmp_path)
    table = compare.labels_needed(compare.cases(load(tmp_path)), targets=[0.4, 0.26])
    own = table[table["target"].isna()].set_index("curve")
    assert own.loc["random", "labels"] == 24
    assert own.loc["kfac_vfe", ["labels", "saving", "saving_half", "pairs"]].tolist() == pytest.approx(
        [16, 1 / 3, 0, 4]
    )
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
        table = compare.labels_needed(compare.cases(load(tmp_path), at=at))
        assert table["target"].dropna().tolist() == expected


def test_penalties_over_two_cases(tmp_path):
    two(tmp_path)
    two(tmp_path, dataset="mnist")
    matrix = compare.penalties(compare.cases(load(tmp_path)))
    assert matrix.loc["kfac_vfe", "random"] == pytest.approx(2 * 2 / 3)
    assert matrix.loc["random", "kfac_vfe"] == 0
    assert matrix.loc["mean"].tolist() == pytest.approx([4 / 3, 0])


def test_average_ranks_over_data_sets(tmp_path):
    for dataset in ("usps", "mnist", "svhn"):
        two(tmp_path, dataset=dataset)
    assert compare.average_ranks(compare.cases(load(tmp_path / "usps"))).empty
    table = compare.average_ranks(compare.cases(load(tmp_path)))
    assert table["curve"].tolist() == ["kfac_vfe", "random"]
    assert table["rank"].tolist() == [1, 2]
    assert table["critical_difference"][0] == pytest.approx(1.960 * np.sqrt(6 / 18), abs=1e-3)


def test_two_seeds_are_not_ranked_and_the_need_is_said(tmp_path):
    (case,) = compare.cases(load(two(tmp_path, seeds=2)))
    assert case.ranked.empty
    assert compare.results([case])["rank"].isna().all()
    assert refusal(case) == verdict(case)
    assert "Not ranked: 3 paired seeds are the least" in verdict(case)
    assert "asks for about this many: kfac_vfe 3" in verdict(case)


def test_one_seed_has_no_variance_to_judge_by(tmp_path):
    (case,) = compare.cases(load(two(tmp_path, seeds=1)))
    assert "One seed shows no variance" in verdict(case)
    assert compare.paired_tests([case])[["half", "t_p", "wilcoxon_holm"]].isna().all(axis=None)


def test_a_shorter_budget_that_can_be_ranked_is_named(tmp_path):
    two(tmp_path, seeds=2)
    for strategy in ("random", "kfac_vfe"):
        make_run(tmp_path, strategy, 2, [0.7, 0.5])
    frame = load(tmp_path)
    assert "With --at 16 there are 3 paired seeds of every curve." in verdict(compare.cases(frame)[0])
    assert len(compare.cases(frame, at=16)[0].ranked) == 2


def test_verdict_says_how_sure_it_is(tmp_path):
    text = verdict(compare.cases(load(two(tmp_path)))[0])
    assert text.startswith("With 24 labels kfac_vfe ends lowest, at 27.00 ± 3.44%, 20.00 ± ")
    assert text.endswith("points below random (4 paired seeds, p < 0.001 by Holm).")


def test_identical_curves_are_no_lead(tmp_path):
    for strategy in ("random", "entropy"):
        for seed, errors in enumerate(RANDOM):
            make_run(tmp_path, strategy, seed, errors)
    case = compare.cases(load(tmp_path))[0]
    assert (
        compare.paired_tests([case])[["mean", "t_p", "t_holm", "wilcoxon_p"]].to_numpy().tolist() == [[0, 1, 1, 1]] * 2
    )
    assert verdict(case).endswith(", equal to entropy in each of 4 paired seeds.")
    assert "lead" not in verdict(case)


def test_differences_that_cancel_are_told_apart_by_no_number_of_seeds(tmp_path):
    for strategy, ends in (("random", (0.25, 0.5, 0.5)), ("entropy", (0.5, 0.25, 0.5))):
        for seed, end in enumerate(ends):
            make_run(tmp_path, strategy, seed, [0.9, end])
    assert "3 paired seeds, p = 1 by Holm; no number of seeds would tell" in verdict(compare.cases(load(tmp_path))[0])


def test_cases_are_named_by_what_tells_them_apart(tmp_path):
    for learner in ("plain", "ensemble"):
        for strategy in ("random", "entropy"):
            make_run(tmp_path, strategy, 0, [0.9, 0.5], learner=learner)
    found = compare.cases(load(tmp_path))
    assert [case.title for case in found] == ["usps, usps_cnn, ensemble", "usps, usps_cnn, plain"]
    assert [verdict.partition(":")[0] for verdict in Comparison.of(load(tmp_path)).verdicts] == [
        case.title for case in found
    ]
    alone = compare.cases(load(tmp_path).query("learner == 'plain'"))
    assert [case.title for case in alone] == ["usps, usps_cnn"]


def test_learners_can_be_compared_with_each_other(tmp_path, capsys):
    for learner, ends in (("plain", (0.50, 0.51, 0.52)), ("ensemble", (0.25, 0.25, 0.28))):
        for strategy in ("random", "entropy", "full"):
            for seed, end in enumerate(ends):
                make_run(tmp_path, strategy, seed, [0.9, end], learner=learner)
    make_run(tmp_path, "entropy", 0, [0.9, 0.1], name="twice", training="adam")
    runs = load(tmp_path)
    whole = across(runs.query("training == 'adam8'"), "model,learner")
    assert sorted(set(curve_names(whole))) == [
        f"{strategy}-{learner}" for strategy in ("entropy", "full", "random") for learner in ("ensemble", "plain")
    ]
    assert whole["model"].unique().tolist() == ["usps_cnn"]  # there is but one
    (case,) = compare.cases(whole, baseline="random-plain")
    assert case.test("random-ensemble", "random-plain", "final").mean == pytest.approx(-0.25)
    assert len(case.truth) == 12
    assert "entropy-twice-plain-adam" in set(curve_names(across(runs, "learner,training")))
    assert across(runs, None) is runs
    for keys in ("strategy", "dataset", "learner,", ""):
        with pytest.raises(UsageError, match=r"--across is .*; give some of model, learner, training, budget"):
            across(runs, keys)
    cli_compare.main(
        [str(tmp_path), "--across", "learner", "--baseline", "random-plain", "--only", "random-plain,entropy-ensemble"]
    )
    assert "25.00 ± 2.48 points below random-plain (3 paired seeds" in capsys.readouterr().out


def test_an_impossible_budget_and_a_lone_full_are_refused(tmp_path):
    frame = load(two(tmp_path))
    for at in (7, 25):
        with pytest.raises(UsageError, match=f"--at is {at}; the curves of usps, .* go from 8 to 24 labels"):
            compare.cases(frame, at=at)
    with pytest.raises(UsageError, match="no strategy but full"):
        compare.cases(frame.assign(strategy="full"))


def test_another_baseline_and_a_missing_one(tmp_path):
    two(tmp_path)
    frame = load(tmp_path)
    comparison = Comparison.of(frame, baseline="kfac_vfe")
    assert comparison.results.set_index("curve").loc["random", "final_minus_baseline"] == pytest.approx(0.2)
    missing = Comparison.of(frame, baseline="entropy")
    assert missing.labels["target"].notna().all()
    assert "there is no entropy with 3 finished seeds" in missing.verdicts[0]
    assert "name another --baseline" in all_gaps(missing.cases)[0]


def test_only_some_are_compared(tmp_path, capsys):
    two(tmp_path)
    make_run(tmp_path, "kfac_vfe", 0, [0.8, 0.5, 0.4], name="maximise")
    names = ["random", "kfac_vfe-maximise"]
    out = tmp_path / "out"
    assert cli_compare.main([str(tmp_path), "--only", ",".join(names), "--out", str(out)]) == 0
    assert pd.read_csv(out / "compare_results.csv")["curve"].tolist() == names
    capsys.readouterr()
    assert cli_compare.main([str(tmp_path), "--only", "random,kfac_vf"]) == 2
    there = "kfac_vfe, kfac_vfe-maximise, random"
    assert capsys.readouterr().err == (
        f"al-compare: --only: there is no curve kfac_vf; choose some of {there}, with commas\n"
    )


def test_the_command_writes_every_table_and_names_what_is_missing(tmp_path, capsys):
    two(tmp_path)
    make_run(tmp_path, "kfac_vfe", 9, [0.5])
    out = tmp_path / "out"
    assert cli_compare.main([str(tmp_path), "--out", str(out), "--target", "30"]) == 0
    shown = capsys.readouterr()
    assert "kfac_vfe seed 9 (to 8)" in shown.err
    assert "random seed 9" in shown.err
    assert "to 30%" in shown.out
    assert sorted(file.name for file in out.iterdir()) == [
        "compare.md",
        "compare.tex",
        "compare_forest.png",
        "compare_forest.svg",
        *(f"compare_{name}.csv" for name in ("labels", "penalties", "ranks", "results", "tests")),
    ]
    results = pd.read_csv(out / "compare_results.csv")
    pd.testing.assert_series_equal(results["final"], Comparison.of(load(tmp_path)).results["final"], check_exact=True)
    assert "| kfac_vfe | 1 | 4 | 24 | 27.00 ± 3.44% |" in (out / "compare.md").read_text()
    assert r"kfac\_vfe & 1 & 4 & 24 & 27.00 $\pm$ 3.44\%" in (out / "compare.tex").read_text()
    assert cli_compare.main([str(tmp_path), "--at", "1000"]) == 2
    assert "al-compare: --at is 1000" in capsys.readouterr().err
