"""Other metrics than the test error, chosen by --metric: less is always better, whatever the column holds."""

import numpy as np
import pandas as pd
import pytest
from made_runs import make_run
from two_strategies import BETTER, RANDOM, two

from al_runner.analysis import METRICS, cases, cli, cli_compare, cli_report, labels_needed, load, penalties, results
from al_runner.analysis.draw.figures import differences, learning_curves
from al_runner.analysis.draw.forest import BETTER as BLUE
from al_runner.analysis.draw.forest import forests
from al_runner.analysis.draw.look import Look
from al_runner.analysis.table.metrics import BEST, LOSS, measured_by
from al_runner.analysis.tell.comparison import Comparison
from al_runner.analysis.tell.verdict import verdict
from al_runner.errors import UsageError

NAMES = tuple(METRICS)


def opposed(root):
    """By the test error random is better; by every other metric kfac_vfe is, in the numbers of `two`."""
    for strategy, errors, losses in (("random", BETTER, RANDOM), ("kfac_vfe", RANDOM, BETTER)):
        for seed in range(4):
            loss = np.array(losses[seed])
            more = {
                "test_balanced_accuracy": 1 - loss,
                "test_macro_f1": 1 - loss,
                "test_brier": 2 * loss,
                "test_ece": loss,
                "test_auroc": 1 - loss,
                "test_average_precision": 1 - loss,
            }
            make_run(root, strategy, seed, errors[seed], more=more)
    return root


SHARES = [name for name, metric in METRICS.items() if metric.share and name != "error"]


@pytest.mark.parametrize(("name", "factor"), [*((name, 1) for name in SHARES), ("brier", 2)])
def test_every_comparison_is_that_of_the_loss(tmp_path, name, factor):
    """Held against the same numbers as test errors in another folder."""
    frame, plain = load(opposed(tmp_path / "a")), load(two(tmp_path / "b"))
    (case,), (expected,) = cases(frame, metric=METRICS[name]), cases(plain)
    assert list(case.ranked.index) == list(expected.ranked.index) == ["kfac_vfe", "random"]
    assert case.ranked.to_numpy() == pytest.approx(factor * expected.ranked.to_numpy())
    ours, theirs = results([case]).set_index("curve"), results([expected]).set_index("curve")
    for column in ("final", "last", "area", "final_minus_baseline", "area_minus_baseline"):
        assert ours[column].to_numpy() == pytest.approx(factor * theirs[column].to_numpy(), nan_ok=True)
    assert ours["rank"].tolist() == theirs["rank"].tolist()
    p = "final_minus_baseline_p"
    assert ours[p].to_numpy() == pytest.approx(theirs[p].to_numpy(), nan_ok=True)
    pd.testing.assert_frame_equal(penalties([case]), penalties([expected]))
    ours, theirs = (table[table["target"].isna()] for table in map(labels_needed, ([case], [expected])))
    pd.testing.assert_frame_equal(ours, theirs)
    (by_error,) = cases(frame)
    assert list(by_error.ranked.index) == ["random", "kfac_vfe"]


def test_the_lowest_so_far_is_of_the_run_s_own_rounds(tmp_path):
    frame = load(opposed(tmp_path)).sample(frac=1, random_state=0)
    measured = measured_by(frame, METRICS["macro_f1"])
    for _, run in measured.sort_values("round").groupby("folder"):
        assert run[LOSS].to_numpy() == pytest.approx(1 - run["test_macro_f1"].to_numpy())
        assert run[BEST].to_numpy() == pytest.approx(np.minimum.accumulate(run[LOSS].to_numpy()))
    errors = measured_by(frame, METRICS["error"])
    assert errors[LOSS].equals(frame["test_error"])
    assert errors[BEST].to_numpy() == pytest.approx(frame["best_test_error"].to_numpy())


def test_verdicts_name_the_metric_and_its_unit(tmp_path):
    frame = load(opposed(tmp_path))
    said = {name: verdict(cases(frame, metric=METRICS[name])[0]) for name in NAMES}
    lead = "It is 20.00 ± 1.30 points below random, beyond chance (4 paired seeds"
    assert said["balanced_accuracy"].startswith(
        f"With 24 labels kfac_vfe has the lowest balanced error: 27.00 ± 3.44%. {lead}"
    )
    assert "has the lowest 1 - macro-F1: 27.00" in said["macro_f1"]
    assert said["brier"].startswith(
        "With 24 labels kfac_vfe has the lowest Brier score: 0.5400 ± 0.0687. It is 0.4000 ± 0.0260 below random"
    )
    assert "has the lowest calibration error: 27.00" in said["ece"]
    assert "has the lowest 1 - AUROC: 27.00" in said["auroc"]
    assert "has the lowest 1 - average precision: 27.00" in said["average_precision"]
    assert "With 24 labels random has the lowest error: 27.00" in said["error"]
    assert "%" not in said["brier"] and "points" not in said["brier"]


def test_a_forest_says_left_of_0_is_better_and_is_right(tmp_path):
    (case,) = cases(load(opposed(tmp_path)), metric=METRICS["balanced_accuracy"])
    ((name, figure),) = forests([case])
    assert name == "compare_balanced_accuracy_forest"
    axes = figure.axes[0]
    (line,) = (line for line in axes.lines if line.get_marker() == "o")
    assert line.get_xdata() == pytest.approx([-20])
    assert line.get_color() == BLUE
    assert axes.get_title() == "final balanced error"


def test_tables_and_files_of_a_metric_stand_beside_those_of_the_error(tmp_path, capsys):
    assert cli_compare.main([str(opposed(tmp_path))]) == 0
    out = tmp_path / "compare"
    errors = (out / "compare.md").read_text()
    assert cli_compare.main([str(tmp_path), "--metric", "brier", "--full", "--target", "0.7"]) == 0
    shown = capsys.readouterr().out
    assert (out / "compare.md").read_text() == errors
    kinds = ("results", "labels", "tests", "penalties", "ranks")
    for name in (*(f"{kind}.csv" for kind in kinds), "md", "tex", "forest.png"):
        separator = "." if name in ("md", "tex") else "_"
        assert (out / f"compare_brier{separator}{name}").exists()
    assert "final Brier score" in shown and "labels to random's final Brier score" in shown and "to 0.7" in shown
    assert "0.5400 ± 0.0687" in shown
    latex = (out / "compare_brier.tex").read_text()
    assert "Test Brier score on USPS" in latex and "percent" not in latex and r"\mathbf{0.5400" in latex
    assert "95% by test set" not in shown


def test_figures_show_the_accuracy_that_was_asked_for_and_else_the_loss(tmp_path):
    frame, opened = load(opposed(tmp_path / "runs")), tmp_path / "out"
    for name, stem, label in (
        ("balanced_accuracy", "balanced_accuracy", "balanced test accuracy (%)"),
        ("macro_f1", "macro_f1", "macro-F1 (%)"),
        ("brier", "brier", "test Brier score"),
        ("ece", "ece", "expected calibration error (%)"),
        ("error", "test_error", "test error (%)"),
    ):
        assert cli.main([str(tmp_path / "runs"), "--metric", name, "--out", str(opened), "--format", "png"]) == 0
        assert (opened / f"{stem}.png").exists()
        look = Look(metric=METRICS[name], accuracy=METRICS[name].gained)
        axes = learning_curves(frame, look).axes[0]
        assert axes.get_ylabel() == label
        own = frame[(frame["strategy"] == "kfac_vfe") & (frame["labelled"] == 24)][METRICS[name].column].mean()
        line = next(line for line in axes.lines if line.get_label() == "KFAC-VFE")
        assert line.get_ydata()[-1] == pytest.approx(METRICS[name].scale * own)
    assert (opened / "summary_brier.csv").exists() and (opened / "summary.csv").exists()
    difference = differences(frame, Look(metric=METRICS["macro_f1"])).axes[0]
    assert difference.get_ylabel().startswith("1 - macro-F1 minus Random's (points)")
    (line,) = (line for line in difference.lines if line.get_label() == "KFAC-VFE")
    assert line.get_ydata()[-1] == pytest.approx(-20)


def test_the_report_is_of_the_metric(tmp_path):
    opposed(tmp_path)
    assert cli_report.main([str(tmp_path), "--metric", "balanced_accuracy"]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "gives the lowest balanced test error" in page and "KFAC-VFE has the lowest balanced error" in page


def test_a_results_csv_keeps_the_metrics(tmp_path):
    frame = load(opposed(tmp_path / "runs"))
    cli.main([str(tmp_path / "runs"), "--out", str(tmp_path / "table")])
    again = load(tmp_path / "table")
    pd.testing.assert_frame_equal(again, frame)
    assert Comparison.of(again, metric=METRICS["brier"]).cases[0].ranked.index[0] == "kfac_vfe"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--metric", "brier"], r"--metric brier: .*random/seed0 did not record test_brier.*leave out --metric"),
        (["--metric", "f1"], rf"there is no f1; choose one of {', '.join(METRICS)}"),
        (["--metric", "nll", "--accuracy"], r"1 - NLL is no accuracy"),
        (["--metric", "nll", "--published"], r"published numbers are test errors"),
    ],
)
def test_what_does_not_go_is_one_line(tmp_path, capsys, argv, message):
    opposed(tmp_path)
    make_run(tmp_path, "random", 0, [0.5, 0.4], dataset="mnist")  # of an older version
    with pytest.raises((UsageError, SystemExit)):
        cli._parser().parse_args([str(tmp_path), *argv])
        raise SystemExit(cli.main([str(tmp_path), *argv]))
    assert pd.Series([capsys.readouterr().err]).str.contains(message).all()


@pytest.mark.parametrize(("column", "value"), [("test_brier", 2.5), ("test_ece", -0.1), ("test_macro_f1", 1.2)])
def test_impossible_values_are_damage(tmp_path, column, value):
    make_run(tmp_path, "random", 0, [0.5, 0.4], more={column: [0.5, value]})
    with pytest.raises(UsageError, match=rf"{column} is {value} in round 1; it must be a fraction in \[0, [12]\]"):
        load(tmp_path)
