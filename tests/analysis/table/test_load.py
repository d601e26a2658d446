import os
import subprocess
import sys
from pathlib import Path

import configs
import pandas as pd
import pytest
import yaml
from made_runs import make_run
from pandas.testing import assert_frame_equal

from al_runner.analysis.stats.case import cases
from al_runner.analysis.table import files
from al_runner.analysis.table.files import as_csv, write
from al_runner.analysis.table.rows import KEYS, TIDY
from al_runner.analysis.table.runs import READERS, find, load
from al_runner.analysis.tell.notes import left_out
from al_runner.errors import UsageError

ERRORS = [0.3, 0.1, 0.2]


def test_rows_are_runs_and_rounds_in_an_order_of_their_own(tmp_path):
    for strategy, seed in (("random", 10), ("random", 2), ("entropy", 2)):
        make_run(tmp_path, strategy, seed, ERRORS)
    frame = load(tmp_path)
    assert tuple(frame.columns) == TIDY
    assert frame["test_error"].tolist() == ERRORS * 3
    assert list(zip(frame["strategy"], frame["seed"], frame["round"], strict=True))[::3] == [
        ("entropy", 2, 0),
        ("random", 2, 0),
        ("random", 10, 0),
    ]
    assert frame["folder"][0] == "usps/usps_cnn-plain-adam8-usps/entropy/seed2"
    assert frame["select_seconds"].isna().tolist() == [True, False, False] * 3


@pytest.mark.parametrize(
    ("dataset", "path", "shown"),
    [
        ("folder", "photos", "photos"),
        ("folder", "~/my photos.v2/", "my photos.v2"),
        ("folder", r"C:\Users\me\photos", "photos"),
        ("folder-long_tailed", "/data/x-rays", "x-rays-long_tailed"),
        ("npz", "/data/cells.npz", "cells"),
        ("embeddings", "clip.npz", "clip"),
        ("folder", ".", "folder"),
        ("folder", "..", "folder"),
        ("folder", None, "folder"),
        ("folder", "two\nlines", "folder"),
        ("folder", "x" * 300, "folder"),
        ("birds", "photos", "birds"),  # the user's own YAML has a name already
    ],
)
def test_own_files_are_called_by_their_name(tmp_path, dataset, path, shown):
    make_run(tmp_path, "random", 0, ERRORS, dataset=dataset, settings={"dataset": {"path": path}})
    assert load(tmp_path)["dataset"].unique().tolist() == [shown]


def test_every_reader_of_own_files_is_known():
    """isic2016 has a path, too, but is one certain data set."""
    files = (configs.CONF / "dataset").glob("*.yaml")
    readers = {file.stem for file in files if yaml.safe_load(file.read_text()).get("path", "") is None}
    assert readers - {"isic2016"} == set(READERS)


def test_own_folders_of_other_names_are_other_cases(tmp_path):
    """They lie apart, and had the same name before."""
    for name in ("photos", "scans"):
        make_run(tmp_path / name, "random", 0, ERRORS, dataset="folder", settings={"dataset": {"path": f"/x/{name}"}})
    assert [case.title for case in cases(load(tmp_path))] == ["photos, usps_cnn", "scans, usps_cnn"]


def test_results_csv_alone_equals_the_folders(tmp_path):
    for seed in range(2):
        make_run(tmp_path / "runs", "entropy", seed, [1 / 3, 0.1 + 0.2, 1 / 7 + seed / 1e9], name="null")
    frame = load(tmp_path / "runs")
    write(tmp_path / "alone" / "results.csv", as_csv(frame))
    alone = load(tmp_path / "alone")
    assert_frame_equal(frame, alone, check_exact=True)
    assert as_csv(alone) == as_csv(frame)


def test_a_table_may_begin_with_the_mark_of_a_spreadsheet(tmp_path):
    (tmp_path / "results.csv").write_text(
        "dataset,strategy,seed,labelled,test_error\ncars,ours,1,20,0.2\n", "utf-8-sig"
    )
    assert load(tmp_path)[["dataset", "labelled"]].to_numpy().tolist() == [["cars", 20]]


def test_a_table_made_elsewhere_needs_little(tmp_path):
    lines = [
        "dataset,strategy,seed,labelled,test_error",
        "cars,ours,1,20,0.2",
        "cars,ours,1,10,0.4",
        "cars,random,1,10,0.4",
    ]
    (tmp_path / "results.csv").write_text("\n".join(lines) + "\n")
    frame = load(tmp_path)
    assert tuple(frame.columns) == TIDY
    ours = frame[frame["strategy"] == "ours"]
    assert ours[["round", "labelled", "test_error", "test_accuracy", "best_test_error"]].to_numpy().tolist() == [
        [0, 10, 0.4, 0.6, 0.4],
        [1, 20, 0.2, 0.8, 0.2],
    ]
    assert ours["val_error"].isna().all()
    write(tmp_path / "again" / "results.csv", as_csv(frame))
    assert_frame_equal(load(tmp_path / "again"), frame)
    (tmp_path / "results.csv").write_text("\n".join([*lines, "cars,random,1,20,"]) + "\n")
    with pytest.raises(UsageError, match=r"line 5: test_error is ''.* or correct it: a row for each run and round"):
        load(tmp_path)


def test_whole_numbers_of_a_table_made_elsewhere_may_end_with_a_point_and_0(tmp_path):
    """So pandas writes a column of whole numbers in which a cell was blank once."""
    file = tmp_path / "results.csv"
    file.write_text("dataset,strategy,seed,labelled,test_error\ncars,ours,1.0,20.0,0.2\n")
    assert load(tmp_path)[["seed", "labelled"]].to_numpy().tolist() == [[1, 20]]
    file.write_text("dataset,strategy,seed,labelled,test_error\ncars,ours,1,20.5,0.2\n")
    with pytest.raises(UsageError, match=r"line 2: labelled is '20\.5'"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["dataset,strategy,seed,labelled,test_accuracy", "d,random,0,8,0.5"], "has no column test_error"),
        (
            ["dataset,strategy,seed,labelled,test_error", "d,random,0,8,0.5", "d,random,0,8,0.4"],
            "labelled does not grow from round to round",
        ),
    ],
)
def test_a_wrong_table_made_elsewhere_is_told_what_it_needs(tmp_path, lines, message):
    (tmp_path / "results.csv").write_text("\n".join(lines) + "\n")
    columns = "with the columns dataset, strategy, seed, labelled and test_error"
    with pytest.raises(UsageError, match=f"{message}; .*or correct it: .*{columns}.*, and a column folder"):
        load(tmp_path)


def test_energy_is_kept_where_it_was_measured(tmp_path):
    """A column of blanks, as a CPU leaves it, is not."""
    file = make_run(tmp_path, "entropy", 0, ERRORS) / "rounds.csv"
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([f"{head},energy_joules", *(f"{row},{7 * i}" for i, row in enumerate(rows))]) + "\n")
    make_run(tmp_path, "random", 0, ERRORS)
    frame = load(tmp_path)
    assert frame.groupby("strategy")["energy_joules"].sum().tolist() == [21, 0]
    write(tmp_path / "alone" / "results.csv", as_csv(frame))
    assert_frame_equal(load(tmp_path / "alone"), frame)


def test_run_folders_come_before_an_earlier_results_csv(tmp_path):
    make_run(tmp_path, "entropy", 0, ERRORS)
    (tmp_path / "results.csv").write_text("old\n")
    assert len(load(tmp_path)) == 3


def test_runs_without_a_round_and_hidden_folders_are_left_out(tmp_path):
    make_run(tmp_path, "entropy", 0, ERRORS)
    (make_run(tmp_path, "entropy", 1, []) / "rounds.csv").unlink()
    make_run(tmp_path, "entropy", 2, [])
    make_run(tmp_path / ".hydra", "entropy", 3, ERRORS)
    assert load(tmp_path)["seed"].unique().tolist() == [0]


def test_runs_that_failed_at_once_are_named(tmp_path):
    make_run(tmp_path, "entropy", 0, ERRORS)
    (tmp_path / "gaal" / "seed0").mkdir(parents=True)
    (tmp_path / "gaal" / "seed0" / "state.json").write_text('{"state": "failed"}')
    assert left_out(find(tmp_path)) == ["left out, no round finished yet (al-status says why): gaal/seed0"]


def test_no_run_says_what_one_looks_like(tmp_path):
    with pytest.raises(UsageError, match=r"config\.yaml and a rounds\.csv, and al-run makes one"):
        load(tmp_path)
    with pytest.raises(UsageError, match="not a directory"):
        load(tmp_path / "nowhere")
    make_run(tmp_path, "entropy", 0, [])
    with pytest.raises(UsageError, match="none with a finished round yet"):
        load(tmp_path)


def test_a_config_without_a_run_is_named(tmp_path):
    folder = make_run(tmp_path, "entropy", 0, ERRORS)
    config = folder / "config.yaml"
    good = yaml.safe_load(config.read_text())
    for bad, message in (
        ({"seed": 0}, "no mapping `run`"),
        ({"run": good["run"] | {"seed": "${seed}"}}, "run.seed is '\\${seed}', not int"),
        ({"run": good["run"] | {"seed": True}}, "run.seed"),
        ({"run": {key: good["run"][key] for key in KEYS if key != "budget"}}, "run.budget is None, not str"),
    ):
        config.write_text(yaml.safe_dump(bad))
        with pytest.raises(UsageError, match=message) as caught:
            load(tmp_path)
        assert str(config) in str(caught.value)
    config.write_text("a: [1\n")
    with pytest.raises(UsageError, match="can't be read") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)
    config.unlink()
    with pytest.raises(UsageError, match=r"no config\.yaml beside it"):
        load(tmp_path)


def test_the_classes_of_a_run_of_0_1_0_are_unknown(tmp_path):
    file = make_run(tmp_path, "entropy", 0, ERRORS) / "rounds.csv"
    assert load(tmp_path)["classes"].tolist() == [2, 3, 4]
    file.write_text("".join(line.rpartition(",")[0] + "\n" for line in file.read_text().splitlines()))
    frame = load(tmp_path)
    assert frame["classes"].isna().all()
    (tmp_path / "again").mkdir()
    write(tmp_path / "again" / "results.csv", as_csv(frame))
    pd.testing.assert_frame_equal(load(tmp_path / "again"), frame)


def test_a_table_that_a_spreadsheet_wrote_with_semicolons_is_told_from_a_damaged_one(tmp_path):
    make_run(tmp_path / "runs", "random", 0, [0.9, 0.5])
    (tmp_path / "table").mkdir()
    write(tmp_path / "table" / "results.csv", as_csv(load(tmp_path / "runs")).replace(b",", b";"))
    with pytest.raises(UsageError, match=r"results\.csv has semicolons between its cells.*; save it with commas"):
        load(tmp_path / "table")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("test_nll", "nll", "no column test_nll"),
        ("\n2,24,", "\n3,24,", "round 3 is in the place of 2"),
        ("\n2,24,", "\n2,16,", "labelled does not grow from round to round"),
        ("\n2,24,0.2,", "\n2,24,20,", r"test_error is 20.0 in round 2; it must be a fraction"),
        ("\n2,24,0.2,", "\n2,24,nan,", "line 4: test_error is 'nan'"),
        ("\n2,24,0.2,", "\n2,24,,", "line 4: test_error is ''"),
        ("\n2,24,0.2,", "\n2,24,0.2,0.3,", "line 4: it has more or fewer cells"),
        ("\n2,24,0.2,", "\n2,24,0.05,", "best_test_error is not the lowest"),
        (",3\n2,", "\n2,", "line 3: it has more or fewer cells"),
        ("\n2,24,", '\n2,"24,', "can't be read"),
    ],
)
def test_damage_is_named(tmp_path, before, after, message):
    file = make_run(tmp_path, "entropy", 0, ERRORS) / "rounds.csv"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    with pytest.raises(UsageError, match=message) as caught:
        load(tmp_path)
    assert str(file) in str(caught.value)


def test_the_same_run_twice_is_refused(tmp_path):
    make_run(tmp_path / "a", "entropy", 1, ERRORS)
    make_run(tmp_path / "b", "entropy", 1, ERRORS)
    with pytest.raises(UsageError, match=r"a/.* and b/.* hold the same run \(entropy, seed 1\)"):
        load(tmp_path)
    results = tmp_path / "both" / "results.csv"
    write(results, as_csv(pd.concat([load(tmp_path / "a"), load(tmp_path / "b")])))
    with pytest.raises(UsageError, match="round 0 is in the place of 3"):
        load(tmp_path / "both")


def test_a_crash_while_writing_keeps_the_old_file(tmp_path, monkeypatch):
    file = write(tmp_path / "results.csv", b"old")

    def crash(self, target):
        assert Path(target).read_bytes() == b"old"
        raise OSError(5, "disk is gone")

    monkeypatch.setattr(files.Path, "replace", crash)
    with pytest.raises(UsageError, match=r"results\.csv can't be written \(disk is gone\)"):
        write(file, b"new")
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["results.csv"]


def test_a_blank_folder_is_no_folder(tmp_path):
    """Several runs may have none; they are named as if the table had no such column."""
    head, rows = "dataset,strategy,seed,labelled,test_error", ["random,0,8,0.5", "random,1,8,0.4", "margin,0,8,0.3"]
    frames = []
    for folder, more in (("none", ""), ("blank", ",")):
        lines = [head + (more and ",folder"), *(f"d,{row}{more}" for row in rows)]
        write(tmp_path / folder / "results.csv", "\n".join(lines).encode())
        frames.append(load(tmp_path / folder))
    assert_frame_equal(*frames)
    assert frames[0]["folder"].tolist() == ["d/margin/seed0", "d/random/seed0", "d/random/seed1"]


def test_a_blank_folder_beside_others_is_named_too(tmp_path):
    lines = ["dataset,strategy,seed,labelled,test_error,folder", "d,random,0,8,0.5,exp1", "d,random,1,8,0.4,"]
    write(tmp_path / "results.csv", "\n".join(lines).encode())
    assert load(tmp_path)["folder"].tolist() == ["exp1", "d/random/seed1"]
    write(tmp_path / "results.csv", "\n".join([*lines, "d,random,0,8,0.5,"]).encode())
    with pytest.raises(UsageError, match=r"d/random/seed0 and exp1 in .* hold the same run \(random, seed 0\)"):
        load(tmp_path)


def test_a_folder_of_several_runs_in_a_results_csv_is_refused(tmp_path):
    """The lowest error so far, and which runs are finished, are found by folder."""
    (tmp_path / "results.csv").write_text(
        "dataset,strategy,seed,labelled,test_error,folder\nd,random,0,8,0.5,exp1\nd,margin,0,8,0.4,exp1\n"
    )
    with pytest.raises(UsageError, match=r"results\.csv: exp1 is the folder of several runs; give every run one"):
        load(tmp_path)


def test_torch_is_never_imported():
    code = (
        "import sys, al_runner.analysis.cli, al_runner.analysis.cli_compare, al_runner.analysis.cli_report\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'hydra', 'omegaconf')])\n"
        "print(sorted(m for m in sys.modules if m.startswith('al_runner.') and 'analysis' not in m))\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    needed = [
        "al_runner.data",
        *(f"al_runner.data.{name}" for name in ("archive", "arrays", "bundled", "labels", "layout")),
    ]
    needed += [
        "al_runner.errors",
        "al_runner.labels",
        "al_runner.record",
        *(
            f"al_runner.record.{name}"
            for name in ("flat", "identity", "journal", "older", "pixels", "run_id", "state", "views")
        ),
        "al_runner.settings",
        "al_runner.settings.declared",
    ]
    system = ("atomic", "claim", "console", "foreign", "scheduler", "signals", "start", "text")
    needed += ["al_runner.system", *(f"al_runner.system.{name}" for name in system)]
    assert answer.stdout.splitlines() == ["[]", str(needed), "False"]
