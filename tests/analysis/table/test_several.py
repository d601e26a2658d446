"""Runs of several directories, taken together."""

from pathlib import Path

import pytest
from made_runs import make_run
from pandas.testing import assert_frame_equal

from al_runner.analysis.cli import main as al_plot
from al_runner.analysis.cli_compare import main as al_compare
from al_runner.analysis.table.files import as_csv
from al_runner.analysis.table.runs import find, load
from al_runner.analysis.table.several import distinct, find_all
from al_runner.errors import UsageError

ERRORS = [0.3, 0.1, 0.2]
PLACE = "usps/usps_cnn-plain-adam8-usps"


def published(root: Path, *seeds: int) -> Path:
    """A directory that holds only the results.csv of some runs of random."""
    for seed in seeds:
        make_run(root / "theirs", "random", seed, ERRORS, more={"test_ece": [0.1, 0.2, 0.3]})
    (root / "published").mkdir()
    (root / "published" / "results.csv").write_bytes(as_csv(load(root / "theirs")))
    return root / "published"


def test_runs_and_a_published_table_are_read_as_if_they_lay_in_one_folder(tmp_path: Path) -> None:
    theirs = published(tmp_path, 0, 2)
    for root in (tmp_path / "mine", tmp_path / "all"):
        make_run(root, "entropy", 0, ERRORS[::-1])
        make_run(root, "random", 1, ERRORS)
    for seed in (0, 2):
        make_run(tmp_path / "all", "random", seed, ERRORS, more={"test_ece": [0.1, 0.2, 0.3]})
    contents = find_all([tmp_path / "mine", theirs])
    assert_frame_equal(contents.frame, load(tmp_path / "all"))
    assert list(contents.folders) == [f"{PLACE}/entropy/seed0", f"{PLACE}/random/seed1"]
    assert list(contents.configs) == list(contents.folders)


def test_runs_with_the_same_path_are_told_apart_by_their_directories(tmp_path: Path) -> None:
    make_run(tmp_path / "a" / "runs", "random", 0, ERRORS)
    make_run(tmp_path / "a" / "runs", "random", 1, ERRORS)
    folder = make_run(tmp_path / "b" / "runs", "random", 0, ERRORS, name="large")
    folder.rename(folder.parent.parent / "random-moved")
    moved = tmp_path / "b" / "runs" / PLACE / "random" / "seed0"
    moved.parent.mkdir()
    (tmp_path / "b" / "runs" / PLACE / "random-moved").rename(moved)
    contents = find_all([tmp_path / "a" / "runs", tmp_path / "b" / "runs"])
    assert list(contents.frame["folder"].unique()) == [
        f"a/runs/{PLACE}/random/seed0",
        f"{PLACE}/random/seed1",
        f"b/runs/{PLACE}/random/seed0",
    ]
    assert contents.folders[f"b/runs/{PLACE}/random/seed0"] == moved
    assert contents.configs[f"b/runs/{PLACE}/random/seed0"]["run"]["name"] == "large"


def test_a_copy_of_a_run_counts_once_and_another_run_of_its_seed_is_refused(tmp_path: Path) -> None:
    theirs = published(tmp_path, 0, 1)
    make_run(tmp_path / "mine", "random", 0, ERRORS)
    contents = find_all([theirs, tmp_path / "mine"])
    assert len(contents.frame) == 2 * len(ERRORS)
    assert contents.frame["folder"][0] == f"published/{PLACE}/random/seed0"
    make_run(tmp_path / "other", "random", 1, [0.3, 0.1, 0.25])
    with pytest.raises(UsageError, match=r"random/seed1 in .* and .*other hold the same run \(random, seed 1\)"):
        find_all([theirs, tmp_path / "other"])


def test_a_directory_that_is_given_twice_counts_once(tmp_path: Path) -> None:
    make_run(tmp_path / "mine", "random", 0, ERRORS)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for again in ("mine", "link", "mine/../mine"):
        assert_frame_equal(find_all([tmp_path / "mine", tmp_path / again]).frame, load(tmp_path / "mine"))


def test_one_directory_is_read_as_before(tmp_path: Path) -> None:
    make_run(tmp_path, "random", 0, ERRORS)
    assert_frame_equal(find_all([tmp_path]).frame, find(tmp_path).frame)
    with pytest.raises(UsageError, match="nothing is not a directory"):
        find_all([tmp_path, tmp_path / "nothing"])


def test_directories_are_told_apart_by_as_few_last_parts_of_their_paths_as_needed() -> None:
    assert distinct([Path("a/b"), Path("a/c")]) == ["b", "c"]
    assert distinct([Path("x/a/c"), Path("x/b/c"), Path("d")]) == ["a/c", "b/c", "d"]
    assert distinct([Path("a/b"), Path("a/b")]) == ["a/b", "a/b"]


@pytest.mark.parametrize(("main", "made"), [(al_plot, "summary.csv"), (al_compare, "compare.md")])
def test_the_commands_take_several_directories_and_then_need_out(tmp_path, capsys, main, made):
    theirs = published(tmp_path, 0, 1)
    for seed in (0, 1):
        make_run(tmp_path / "mine", "entropy", seed, ERRORS)
    assert main([str(tmp_path / "mine"), str(theirs)]) == 2
    assert "say with --out DIR where the files go" in capsys.readouterr().err
    assert main([str(tmp_path / "mine"), str(theirs), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / made).read_text()
    assert "entropy" in text
    assert "random" in text
