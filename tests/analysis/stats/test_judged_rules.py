"""What al-compare says about stopping rules, by hand."""

from math import sqrt

import numpy as np
import pytest
from made_runs import make_run
from scipy import stats

from al_runner.analysis import METRICS, cases, cli_compare, load
from al_runner.analysis.stats.stopping import stopping
from al_runner.analysis.tell.comparison import Comparison

ERRORS = [[0.5, 0.3, 0.2, 0.1], [0.6, 0.4, 0.3, 0.1], [0.5, 0.2, 0.1, 0.1]]
FLAGS = [[0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1]]  # the last round is the budget's end: nothing is saved there


def made(root):
    for seed, (errors, flags) in enumerate(zip(ERRORS, FLAGS, strict=True)):
        more = {"stop_stabilising": flags, "stop_low_uncertainty": [0, 0, 1, 1], "stop_plateau": [0, 0, 0, 0]}
        more["test_brier"] = [2 * error for error in errors]
        make_run(root, "random", seed, errors, more=more)
        make_run(root, "entropy", seed, errors, more={"test_brier": more["test_brier"]})  # recorded no rule
    return root


def test_labels_saved_and_error_lost_by_hand(tmp_path):
    table = stopping(cases(load(made(tmp_path)))).set_index("rule")
    assert set(table["curve"]) == {"random"}
    assert table["seeds"].tolist() == [3, 3, 3]
    assert table["stopped"].to_dict() == {"stabilising": 1, "low_uncertainty": 3, "plateau": 0}
    row = table.loc["stabilising"]
    assert row["labels"] == pytest.approx((16 + 32 + 32) / 3)
    assert row["saved"] == pytest.approx(0.5 / 3)
    assert row["lost"] == pytest.approx((0.3 - 0.1) / 3)
    half = stats.t.ppf(0.975, 2) * np.std([0.5, 0, 0], ddof=1) / sqrt(3)
    assert row["saved_half"] == pytest.approx(half)
    row = table.loc["low_uncertainty"]
    assert (row["labels"], row["saved"], row["lost"]) == pytest.approx((24, 0.25, (0.1 + 0.2 + 0.0) / 3))
    assert table.loc["plateau", ["labels", "saved", "lost"]].tolist() == [32, 0, 0]


def test_the_loss_is_that_of_the_chosen_metric(tmp_path):
    table = stopping(cases(load(made(tmp_path)), metric=METRICS["brier"])).set_index("rule")
    assert table.loc["low_uncertainty", "lost"] == pytest.approx(2 * (0.1 + 0.2 + 0.0) / 3)


def test_al_compare_prints_and_writes_it(tmp_path, capsys):
    assert cli_compare.main([str(made(tmp_path))]) == 0
    shown = capsys.readouterr().out
    assert "Stopping rules: dataset usps, model usps_cnn, learner plain, training adam8, budget usps" in shown
    (line,) = (line for line in shown.splitlines() if line.startswith("random    low uncertainty"))
    assert line.split("  ")[-1].strip().startswith("+10.00 ±")
    assert "3/3" in line and "25%" in line.replace(" ± 0%", "%")
    assert (tmp_path / "compare" / "compare_stopping.csv").exists()


def test_without_recorded_rules_there_is_no_table(tmp_path, capsys):
    for seed, errors in enumerate(ERRORS):
        make_run(tmp_path, "random", seed, errors)
    comparison = Comparison.of(load(tmp_path))
    assert "stopping" not in comparison.frames and not comparison.shown_stopping()


def test_runs_that_end_at_different_rounds_are_judged_only_if_finished(tmp_path):
    made(tmp_path)
    make_run(tmp_path, "random", 3, [0.5, 0.4], more={"stop_stabilising": [0, 1]})
    assert stopping(cases(load(tmp_path)))["seeds"].tolist() == [3, 3, 3]
