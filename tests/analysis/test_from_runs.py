"""What al-run records reaches the reader: rounds, the name of own photos, warnings, the interval of a test error."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import QUICK, Command
from made_images import classes, noise
from statsmodels.stats.proportion import proportion_confint

from al_runner.analysis import cli, cli_compare, cli_report, load
from al_runner.analysis.report.source import Source, case_images
from al_runner.sweeps import status


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 24 images to learn from and 12 for the test, of two classes."""
    classes(tmp_path / "photos" / "train", each=12)
    classes(tmp_path / "photos" / "test", each=6)
    return tmp_path / "photos"


def test_own_photos_from_the_command_to_the_page(
    al_run: Command, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    words = ["-m", "hydra/launcher=basic", f"results={results}", *QUICK, "model=small_cnn"]
    data = [
        "dataset=folder",
        f"dataset.path={photos}",
        "dataset.split.val=4",
        "budget.initial=5",
        "budget.query=5",
        "budget.max_fraction=1",
    ]
    code, said = al_run(*words, *data, "strategy=random,margin")
    assert code == 0, said
    assert re.findall(r"margin seed 0 \| round (\d/\d) \| +(\d+) labelled", said) == [
        (f"{round_}/3", f"{5 * round_ + 5}") for round_ in range(4)
    ]
    assert status.main([str(results)]) == 0
    rows = [line.split() for line in capfd.readouterr().out.splitlines() if "margin/seed0" in line]
    assert [row[:4] for row in rows] == [["margin/seed0", "done", "3/3", "20"]]  # as in the log

    frame = load(results)
    assert frame["dataset"].unique().tolist() == ["photos"]
    error = frame.query("strategy == 'margin'")["test_error"].iloc[-1]
    low, high = proportion_confint(12 * error, 12, method="wilson")
    interval = f"{100 * low:.2f} to {100 * high:.2f}%"
    assert cli_compare.main([str(results), "--format", "svg"]) == 0
    compared = capfd.readouterr().out
    assert cli_report.main([str(results)]) == 0
    page = (results / "report.html").read_text()
    for text in (compared, page):
        assert "photos, small_cnn" in text and "folder, small_cnn" not in text
        assert "Caution: 20 of all 20 labels are bought by then" in text
        assert "Caution: errors are measured on 12 test images, of which one is 8.3 points." in text
        assert interval in text
    assert '<details class="confusion" open>' in page
    capfd.readouterr()
    assert cli.main([str(results), "--format", "svg"]) == 0
    assert "<!-- photos, small_cnn" in (results / "plots" / "test_error.svg").read_text()


CLASSES = ("dataset.split._target_=al_runner.data.class_split.ClassSplit", "+dataset.split.classes=[2,0]")
EQUAL = ("dataset.split._target_=al_runner.data.class_split.EqualTestSplit", "+dataset.split.per_class=4")


def as_folder(root: Path) -> tuple[Path, Path, str]:
    """Photos of three classes, where their prepared file lies, and what names the class of a photo."""
    return classes(root / "photos", "abc", each=20), root / "data_root", "/"


def as_npz(root: Path) -> tuple[Path, Path, str]:
    """The same in one .npz that has names of files."""
    names = np.array([f"{name}-{number}" for name in "abc" for number in range(20)])
    images = np.stack([noise() for _ in names])
    np.savez(
        root / "mine.npz",
        train_images=images,
        train_labels=np.arange(60) // 20,
        classes=np.array(["a", "b", "c"]),
        files=names,
    )
    return root / "mine.npz", root, "-"


@pytest.mark.parametrize("split", [CLASSES, EQUAL], ids=["classes", "equal"])
@pytest.mark.parametrize("bring", [as_folder, as_npz])
def test_a_split_by_class_keeps_files_and_the_page_shows_the_images(
    bring, split: tuple[str, ...], al_run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AL_DATA", str(tmp_path / "data_root"))
    path, data_root, dash = bring(tmp_path)
    reader = "npz" if path.suffix else "folder"
    words = [f"dataset={reader}", f"dataset.path={path}", *split, "dataset.split.val=4", "strategy=random"]
    results = tmp_path / "results"
    code, said = al_run(*words, f"results={results}", *QUICK, "model=small_cnn", "budget.initial=5", "budget.query=5")
    assert code == 0, said
    (table,) = results.rglob("acquired.csv")
    bought = pd.read_csv(table)
    names = ["c", "a"] if split == CLASSES else ["a", "b", "c"]
    assert [file.split(dash)[0] for file in bought["file"]] == [names[label] for label in bought["label"]]
    number = bought["file"].str.extract(r"(\d+)(?:\.png)?$")[0].astype(int)
    own = bought["file"].str[0].map({"a": 0, "b": 20, "c": 40})
    assert (bought["id"] == own + number).all()
    source = Source.of(results, data_root)
    images = case_images(source, source.comparison.cases[0])
    assert not isinstance(images, str), images
    assert list(images.classes) == names
    assert cli_report.main([str(results), "--data", str(data_root)]) == 0
    page = (results / "report.html").read_text()
    assert "No contact sheets" not in page and "data:image/png" in page
