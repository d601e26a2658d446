"""The command al-compare."""

import pandas as pd
import pytest
from made_runs import make_run
from two_strategies import two

from al_runner.analysis import cases, cli, cli_compare
from al_runner.analysis.table.names import across, curve_names
from al_runner.analysis.table.runs import load
from al_runner.analysis.tell.comparison import Comparison
from al_runner.errors import UsageError


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
    (case,) = cases(whole, baseline="random-plain")
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
    assert "25.00 ± 2.48 points below random-plain, beyond chance (3 paired seeds" in capsys.readouterr().out
    cli_compare.main([str(tmp_path), "--across", "learner"])
    fix = "choose one of random-ensemble, random-plain as --baseline"
    assert f"no curve random to compare with; {fix}" in capsys.readouterr().err


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
    assert "Errors: dataset usps, model " in shown.out
    assert not any(word in shown.out for word in ("Labels needed", "first - second", "Pairwise penalties"))
    assert "to 30%" in (out / "compare.md").read_text()
    assert cli_compare.main([str(tmp_path), "--out", str(out), "--target", "30", "--full"]) == 0
    full = capsys.readouterr().out
    assert all(word in full for word in ("to 30%", "first - second", "Pairwise penalties"))
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
    assert r"KFAC-VFE & $\mathbf{27.00\,{\pm}\,3.44}$ &" in (out / "compare.tex").read_text()
    assert cli_compare.main([str(tmp_path), "--at", "1000"]) == 2
    assert "al-compare: --at is 1000" in capsys.readouterr().err


def test_files_lie_in_a_folder_of_their_own_among_runs_and_beside_a_table(tmp_path, capsys):
    """Files of version 0.1, which lay among the runs, are no run, and nothing reads them."""
    runs, alone, elsewhere = tmp_path / "runs", tmp_path / "alone", tmp_path / "elsewhere"
    assert cli_compare.main([str(two(runs)), "--out", str(elsewhere)]) == 0
    said = capsys.readouterr().out
    for file in elsewhere.iterdir():
        (runs / file.name).write_text("an old file\n")
    old = {file.name for file in elsewhere.iterdir()}
    for _ in range(2):  # the second time, the folder of the first is no run and changes nothing
        assert cli_compare.main([str(runs)]) == 0
        assert capsys.readouterr().out.replace(str(runs / "compare"), str(elsewhere)) == said
        assert {path.name for path in runs.iterdir()} == {"usps", "compare"} | old
        assert {path.name for path in (runs / "compare").iterdir()} == old
    assert {(runs / name).read_text() for name in old} == {"an old file\n"}
    assert cli.main([str(runs), "--out", str(alone)]) == 0
    for name in ("compare_results.csv", "compare.md"):
        (alone / name).write_text("an old file\n")
    assert cli_compare.main([str(alone)]) == 0
    assert [path for path in alone.iterdir() if path.is_dir()] == []
    text, _, made = (alone / "compare.md").read_text().partition("\n\nMade with:\n\n")
    assert text == (elsewhere / "compare.md").read_text().partition("\n\nMade with:\n\n")[0]
    assert made == f"    al-compare {alone}\n"
    for file in elsewhere.iterdir():
        (runs / "compare" / file.name).unlink()
    (runs / "compare").rmdir()
    (runs / "compare").symlink_to(elsewhere)
    capsys.readouterr()
    assert cli_compare.main([str(runs)]) == 2
    assert "compare is a link to another folder; remove it, or choose another --out" in capsys.readouterr().err


def test_the_table_of_a_paper(tmp_path, capsys):
    """Its columns, what is bold and what is marked, true minus signs, a label, a caption in words, names of a paper."""
    two(tmp_path)
    for seed in range(4):
        make_run(tmp_path, "my_own", seed, [0.8, 0.5, 0.45 + 0.05 * (seed % 2)])
    make_run(tmp_path, "full", 0, [0.05], labelled=[4186])
    options = [str(tmp_path), "--format", "pdf", "--label", "my_own=A_1", "--columns", "final,final_gap,final_p,n"]
    assert cli_compare.main(options) == 0
    assert (tmp_path / "compare" / "compare_forest.pdf").exists()
    text = (tmp_path / "compare" / "compare.tex").read_text()
    row = {
        line.split(" & ")[0]: line.removesuffix(r" \\").split(" & ")[1:] for line in text.splitlines() if " & " in line
    }
    assert row["Strategy"] == ["Final error", r"$\Delta$ final", "$p$ (final)", "Seeds"]
    assert row["KFAC-VFE"][:2] == [r"$\mathbf{27.00\,{\pm}\,3.44}$", r"$-20.00\,{\pm}\,1.30^{*}$"]
    assert row["KFAC-VFE"][2:] == ["$<$0.001", "4"]
    assert row[r"A\_1"][1].endswith(r"\phantom{^{*}}$")
    assert row["Random"][1:] == ["--", "--", "4"]
    assert row["Full training set"][0] == "$5.00$"
    assert r"\label{tab:usps-usps_cnn-plain-adam8-usps}" in text
    assert r"Test error on USPS, USPS net with 24 labels, in percent" in text
    assert "Holm's correction for 2 comparisons" in text
    assert cli_compare.main([str(tmp_path), "--columns", "final,p"]) == 2
    assert "--columns: there is no p; choose some of rank, n, labels, final" in capsys.readouterr().err
    assert cli_compare.main([str(tmp_path), "--baseline", "nothing"]) == 2
    assert "--baseline: there is no curve nothing; choose one of kfac_vfe, my_own, random" in capsys.readouterr().err


def test_the_final_error_is_the_mean_of_as_many_rounds_as_asked(tmp_path, capsys):
    for strategy, shift in (("random", 0.0), ("entropy", -0.1)):
        for seed in range(3):
            make_run(tmp_path, strategy, seed, [0.9 + shift, 0.6 + shift, 0.5 + shift, 0.4 + shift])
    (case,) = cases(load(tmp_path), last=3)
    assert case.values("random", "final").tolist() == pytest.approx([0.5] * 3)
    assert case.values("entropy", "last").tolist() == pytest.approx([0.3] * 3)
    assert cli_compare.main([str(tmp_path), "--last", "3", "--out", str(tmp_path / "out")]) == 0
    assert "mean of the last 3 rounds" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli_compare.main([str(tmp_path), "--last", "0"])
    assert "0 is no number of rounds; give 1 or more" in capsys.readouterr().err


def test_what_a_strategy_saved_is_told_in_labels_and_money(tmp_path, capsys):
    two(tmp_path)
    for seed in range(3):  # one of three seeds does not reach random's final error
        make_run(tmp_path, "entropy", seed, [0.8, 0.44 + 0.1 * (seed == 1), 0.43 + 0.1 * (seed == 1)])
    assert cli_compare.main([str(tmp_path)]) == 0
    assert "What it saved" not in capsys.readouterr().out
    assert cli_compare.main([str(tmp_path), "--cost-per-label", "0.12"]) == 0
    table = capsys.readouterr().out.partition("What it saved: ")[2].splitlines()[1:5]
    assert [" ".join(line.split()) for line in table] == [
        "strategy labels to random's final error fewer labels share saved money saved pairs",
        "random 24 ± 0 - - - -",
        "entropy not in every seed - - - 2",
        "kfac_vfe 16 ± 0 8 ± 0 33 ± 0% 0.96 ± 0.00 4",
    ]
    written = (tmp_path / "compare" / "compare.md").read_text()
    assert "| kfac_vfe | 16 ± 0 | 8 ± 0 | 33 ± 0% | 0.96 ± 0.00 | 4 |" in written
    assert cli_compare.main([str(tmp_path), "--full"]) == 0
    assert "money saved" not in capsys.readouterr().out
    for word in ("0", "-1", "nan", "inf", "dear"):
        with pytest.raises(SystemExit):
            cli_compare.main([str(tmp_path), f"--cost-per-label={word}"])
        assert f"{word} is no price; give a number above 0" in capsys.readouterr().err
