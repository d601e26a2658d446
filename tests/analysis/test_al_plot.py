import shutil
import subprocess
import sys

import numpy as np
import pytest
from made_runs import make_run

from al_runner.analysis import cli_compare
from al_runner.analysis.cli import main
from al_runner.analysis.table.runs import load

FALL = np.geomspace(0.8, 0.02, 10)
FILES = ["results.csv", "summary.csv", "test_error.png", "test_error.svg"]


def al_plot(*argv):
    return main([str(arg) for arg in argv])


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_everything_comes_from_results_csv_alone_too(tmp_path, capsys):
    runs, alone, again = tmp_path / "runs", tmp_path / "alone", tmp_path / "again"
    for strategy in ("random", "entropy"):
        for seed in range(2):
            make_run(runs, strategy, seed, FALL * (1 + seed / 10))
    make_run(runs, "full", 0, [0.01], labelled=[4186])
    assert al_plot(runs) == 0
    first = capsys.readouterr()
    plots = runs / "plots"
    assert (names(plots), names(runs)) == (FILES, [])
    assert first.err == ""
    assert first.out.splitlines()[-4:] == [str(plots / name) for name in FILES]
    alone.mkdir()
    shutil.copy(plots / "results.csv", alone)
    assert al_plot(alone, "--out", again) == 0
    assert capsys.readouterr().out.replace(str(again), str(plots)) == first.out
    for name in FILES:
        assert (again / name).read_bytes() == (plots / name).read_bytes()
    assert names(alone) == ["results.csv"]


def test_files_lie_in_a_folder_of_their_own_among_runs_and_beside_a_table(tmp_path):
    runs, alone = tmp_path / "runs", tmp_path / "alone"
    make_run(runs, "random", 0, FALL)
    for _ in range(2):  # the second time, the folder of the first is no run and changes nothing
        assert al_plot(runs) == 0
        assert [path.name for path in runs.iterdir() if path.name not in ("usps", "plots")] == []
        assert names(runs / "plots") == FILES
    alone.mkdir()
    shutil.copy(runs / "plots" / "results.csv", alone)
    assert al_plot(alone) == 0
    assert names(alone) == FILES
    assert [path for path in alone.iterdir() if path.is_dir()] == []


def test_it_does_not_follow_a_link_out_of_the_folder(tmp_path, capsys):
    make_run(tmp_path / "runs", "random", 0, FALL)
    (tmp_path / "outside").mkdir()
    (tmp_path / "runs" / "plots").symlink_to(tmp_path / "outside")
    assert al_plot(tmp_path / "runs") == 2
    assert "plots is a link to another folder; remove it, or choose another --out" in capsys.readouterr().err
    assert names(tmp_path / "outside") == []
    assert al_plot(tmp_path / "runs", "--out", tmp_path / "outside") == 0


def test_one_figure_a_combination(tmp_path, capsys):
    make_run(tmp_path, "random", 0, FALL)
    make_run(tmp_path, "random", 0, FALL, model="nets/lenet")
    make_run(tmp_path, "full", 0, [0.1], labelled=[99], dataset="mnist")
    assert al_plot(tmp_path, "--best", "--log", "--title", "T") == 0
    stems = [f"best_test_error-usps-{model}-plain-adam8-usps" for model in ("nets_lenet", "usps_cnn")]
    figures = [stem + suffix for stem in stems for suffix in (".png", ".svg")]
    assert names(tmp_path / "plots") == [*figures, "results.csv", "summary.csv"]
    assert "no figure for dataset mnist" in capsys.readouterr().err


def test_every_kind_of_figure(tmp_path):
    for dataset in ("usps", "mnist"):
        for strategy in ("random", "entropy"):
            make_run(tmp_path, strategy, 0, FALL, dataset=dataset)
    usps, out = tmp_path / "usps", tmp_path / "out"
    options = "--accuracy", "--median", "--difference", "--time", "--format", "pdf", "--out"
    assert al_plot(usps, *options, out) == 0
    tables = ["results.csv", "summary.csv"]
    assert names(out) == [*tables, "test_accuracy.pdf", "test_error_difference.pdf", "time.pdf"]
    assert (out / "time.pdf").read_bytes().startswith(b"%PDF")
    assert al_plot(tmp_path, "--facet", "dataset", "--best", "--out", tmp_path / "facets") == 0
    stem = "best_test_error_facets"
    assert names(tmp_path / "facets") == [f"{stem}.png", f"{stem}.svg", *tables]


def test_a_figure_for_a_paper(tmp_path):
    for strategy in ("random", "my_own"):
        make_run(tmp_path, strategy, 0, np.geomspace(0.8, 0.02, 20))
    options = "--label", "my_own=OWN", "--order", "my_own", "--width", "3.25in", "--split", "none", "--title", ""
    assert al_plot(tmp_path, *options, "--format", "svg", "--difference", "--time") == 0
    assert {path.suffix for path in (tmp_path / "plots").glob("test_*")} == {".svg"}
    drawn = (tmp_path / "plots" / "test_error.svg").read_text()
    assert f'width="{3.25 * 72:.0f}pt"' in drawn
    assert drawn.index("<!-- OWN") < drawn.index("<!-- Random")
    assert "<!-- USPS" not in drawn
    assert "own scale" not in drawn


def test_a_curve_that_comes_first_may_be_in_one_case_only(tmp_path, capsys):
    for dataset, strategies in (("usps", ("random", "entropy", "margin")), ("mnist", ("random", "entropy"))):
        for strategy in strategies:
            make_run(tmp_path, strategy, 0, FALL, dataset=dataset)
    order = "--order", "margin,entropy"
    assert al_plot(tmp_path, *order, "--difference", "--format", "svg") == 0
    for dataset, first in (("usps", "Margin"), ("mnist", "Entropy")):
        (drawn,) = (tmp_path / "plots").glob(f"test_error-{dataset}-*.svg")
        marks = [drawn.read_text().find(f"<!-- {name}") for name in (first, "Random")]
        assert 0 < marks[0] < marks[1]
    assert cli_compare.main([str(tmp_path), *order, "--format", "svg"]) == 0
    assert len(list((tmp_path / "compare").glob("compare_forest-*.svg"))) == 2
    for command in (al_plot, lambda *words: cli_compare.main([*map(str, words)])):
        capsys.readouterr()
        assert command(tmp_path, "--order", "margin,bald") == 2
        assert "--order: there is no curve bald; choose some of" in capsys.readouterr().err


def test_only_some_are_drawn_and_all_are_in_the_tables(tmp_path, capsys):
    for strategy in ("random", "entropy", "margin"):
        make_run(tmp_path, strategy, 0, FALL)
    assert al_plot(tmp_path, "--only", "random,margin") == 0
    assert set(load(tmp_path)["strategy"]) == {"random", "entropy", "margin"}
    assert "entropy" in (tmp_path / "plots" / "results.csv").read_text()
    drawn = (tmp_path / "plots" / "test_error.svg").read_text()
    assert ("<!-- Margin" in drawn, "<!-- Entropy" in drawn) == (True, False)
    assert al_plot(tmp_path, "--only", "bald") == 2
    assert "there is no curve bald; choose some of entropy, margin, random" in capsys.readouterr().err


def test_unfinished_runs_are_named_in_one_line(tmp_path, capsys):
    make_run(tmp_path, "random", 0, FALL)
    short = make_run(tmp_path, "random", 1, FALL[:6])
    begun = make_run(tmp_path, "random", 2, [])
    assert al_plot(tmp_path) == 0
    waiting, unfinished = capsys.readouterr().err.splitlines()
    assert begun.relative_to(tmp_path).as_posix() in waiting
    assert f"{short.relative_to(tmp_path).as_posix()} (to 48)" in unfinished
    assert "shorter than 80 labels" in unfinished
    assert load(tmp_path).groupby("seed").size().tolist() == [10, 6]


def test_a_setting_that_follows_the_seed_is_no_other_setting(tmp_path, capsys):
    """As with pool.seed=${seed}."""
    for seed in (0, 1, 2):
        make_run(tmp_path, "random", seed, FALL, settings={"pool": {"seed": seed}})
        make_run(tmp_path, "bald", seed, FALL, settings={"pool": {"seed": min(seed, 1)}})
    assert al_plot(tmp_path) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "al-plot: bald: its seeds differ in pool.seed; give variants of a strategy a name="


def test_uneven_and_unlike_seeds_are_named(tmp_path, capsys):
    make_run(tmp_path, "random", 0, [0.5, 0.4, 0.3], settings={"budget": {"query": 8}})
    make_run(tmp_path, "random", 1, [0.5, 0.3], labelled=[8, 24], settings={"budget": {"query": 16}})
    make_run(tmp_path, "bald", 0, [0.5, 0.3], labelled=[8, 24], settings={"budget": {"query": 8}})
    make_run(tmp_path, "bald", 1, [0.5, 0.3], labelled=[9, 24], settings={"budget": {"query": 8}})
    assert al_plot(tmp_path) == 0
    assert capsys.readouterr().err.splitlines() == [
        "al-plot: random: its seeds share 2 of 3 label counts; drawn only at those",
        "al-plot: bald: its seeds share 1 of 3 label counts; drawn only at those",
        "al-plot: random: its seeds differ in budget.query; give variants of a strategy a name=",
    ]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nowhere"], "nowhere is not a directory"),
        (["."], "holds no run"),
        (["runs", "--split", "-5"], "--split is -5; it must be a number of labels"),
        (["runs", "--split", "0"], "--split is 0"),
        (["runs", "--split", "5000"], "--split is 5000; the curves go from 8 to 80 labels"),
        (["runs", "--median", "--interval", "t"], "choose --interval bootstrap or seeds"),
        (["runs", "--accuracy", "--log"], "leave out --accuracy or --log"),
        (["runs", "--split", "some"], "--split is some; it must be a number of labels, 1 or more, or none"),
        (["runs", "--width", "3"], "--width is 3; give one from 1.5in to 20in"),
        (["runs", "--label", "random"], "--label is random; give it as --label name="),
        (["runs", "--order", "badge"], "--order: there is no curve badge"),
        (["runs", "--facet", "size"], "--facet is size; give some of dataset, model"),
        (["runs", "--across", "dataset"], "--across is dataset; give some of model, learner"),
        (["runs", "--difference"], "no difference to draw"),
        (["runs", "--out", "file"], "can't be written"),
        (["file"], "file is not a directory"),
    ],
)
def test_mistakes_are_one_line_and_code_2(tmp_path, monkeypatch, capsys, argv, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    if argv[0] == "runs":
        make_run(tmp_path / "runs", "random", 0, FALL)
    assert al_plot(*argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("al-plot: ")
    assert message in line


def test_the_command_exits_with_2(tmp_path):
    command = [sys.executable, "-m", "al_runner.analysis.cli", str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith(f"al-plot: {tmp_path} holds no run")
    assert answer.stderr.count("\n") == 1


def test_only_full_has_a_table_and_no_figure(tmp_path, capsys):
    for seed in range(2):
        make_run(tmp_path, "full", seed, [0.01 + seed / 100], labelled=[4186])
    assert al_plot(tmp_path) == 0
    told = capsys.readouterr()
    assert "no figure for dataset usps, model usps_cnn" in told.err
    assert "full         -  2   4,186  1.50 ± 6.35%" in told.out
    assert "with random" not in told.out  # there is no difference to explain
    assert names(tmp_path / "plots") == ["results.csv", "summary.csv"]
