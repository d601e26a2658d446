"""A run that begins anew in a folder with answers: each is shown for the very image that it was given for."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from command import Command
from labelled import fill, photos, rows, run_folder, words

from al_runner import run
from al_runner.errors import UsageError
from al_runner.job.build import loaded
from al_runner.labelling.rows import Photo, labels_by_photo
from al_runner.record.journal import NAME

WAITS = 3


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photos(tmp_path_factory.mktemp("photos"))


def test_answers_follow_their_files_not_their_ids(al_run: Command, tmp_path: Path) -> None:
    root, results = photos(tmp_path / "photos"), tmp_path / "results"
    command = [word for word in words(root, results) if not word.startswith("strategy")]
    al_run(*command)
    folder = run_folder(results)
    fill(folder / "query.csv")
    known = {row["file"]: row["label"] for row in rows(folder / "query.csv")}
    for number in range(48, 68):  # by name, these come between the others: from now on other ids mean other photos
        shutil.copy(root / "unlabelled" / f"{number - 48:02d}.png", root / "unlabelled" / f"0{number}.png")
    loaded.cache_clear()  # as in another process
    code, output = al_run(*command, "overwrite=true")
    assert (code, "is not the id of an image" in output) == (WAITS, False)
    asked = rows(folder / "query.csv")
    assert {row["file"]: row["label"] for row in asked} == {row["file"]: known.get(row["file"], "") for row in asked}
    assert {row["label"] for row in asked} > {""}  # some were known, some were not
    assert [*(folder / "answered").iterdir()] != []


def test_without_files_answers_follow_the_pixels(al_run: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    data, results = tmp_path / "data.npz", tmp_path / "results"
    own = [word for word in words(tmp_path, results) if not word.startswith(("dataset=", "dataset.path"))]
    command = ["dataset=npz", f"dataset.path={data}", *own]
    np.savez(data, train_images=images, train_labels=np.full(40, -1))
    al_run(*command)
    table = run_folder(results) / "query.csv"
    text = table.read_text().replace(",,,,", ",,a class,,")
    table.write_text(text)
    (tmp_path / "filled.csv").write_text(text)
    known = {row["fingerprint"] for row in rows(table)}
    np.savez(data, train_images=np.concatenate([255 - images[:20], images]), train_labels=np.full(60, -1))
    loaded.cache_clear()
    assert al_run(*command, "overwrite=true")[0] == WAITS
    asked = rows(table)
    assert {row["label"] for row in asked} == {"", "a class"}
    assert all((row["label"] == "a class") == (row["fingerprint"] in known) for row in asked)
    left = [row["id"] for row in asked]
    code, output = al_run(*command, "--labels", str(tmp_path / "filled.csv"))  # the old table, whose ids mean others
    assert code == WAITS
    assert "has other pixels than the image of this row" in output
    assert [row["id"] for row in rows(table)] == left


def test_labels_and_overwrite_are_refused_together_before_anything_is_lost(
    al_run: Command, root: Path, tmp_path: Path
) -> None:
    code, output = al_run(*words(root, tmp_path, "overwrite=true", "recover=true"))
    (line,) = [line for line in output.splitlines() if "--labels PATH/query.csv" in line]
    assert (code, "oracle=person" in line) == (WAITS, True)
    assert not any(word in line for word in ("overwrite=", "recover="))
    folder = run_folder(tmp_path)
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.name in (NAME, "query.csv")}
    fill(folder / "query.csv", to=tmp_path / "filled.csv")
    for more in ([], ["--dry-run"]):
        together = *words(root, tmp_path, "overwrite=true"), "--labels", str(tmp_path / "filled.csv"), *more
        assert al_run(*together) == (
            1,
            "al-run: --labels answers the run in this folder, which overwrite=true would delete; leave out "
            "overwrite=true to go on with it, or --labels to start anew",
        )
    assert before == {file.name: file.read_bytes() for file in folder.iterdir() if file.name in before}
    with pytest.raises(UsageError, match="which overwrite=true would delete"):
        run(*words(root, tmp_path), **{"overwrite": True, "oracle.labels": tmp_path / "filled.csv"})
    assert al_run(*words(root, tmp_path), "--labels", str(tmp_path / "filled.csv"))[0] == WAITS
    assert len(rows(folder / "answered.csv")) == 19


def test_which_rows_speak_of_which_photos() -> None:
    named = {5: Photo("a.png", "1x8x8-aa"), 6: Photo("b.png", "1x8x8-bb")}
    row = {"id": "6", "file": "a.png", "label": "cat", "fingerprint": "1x8x8-aa"}
    assert labels_by_photo([row], named) == {5: "cat"}
    assert labels_by_photo([{"id": "5", "file": "a.png", "label": "cat"}], named) == {5: "cat"}
    assert labels_by_photo([row | {"fingerprint": "1x4x4-cc"}], named) == {5: "cat"}  # read in another size
    assert labels_by_photo([row | {"fingerprint": "1x8x8-cc"}], named) == {}  # another photo of this name
    assert labels_by_photo([{"id": "5", "label": "cat"}, {"id": "5", "file": "c.png", "label": "dog"}], named) == {}
    assert labels_by_photo([row, row | {"label": "dog"}], named) == {5: ""}
    assert labels_by_photo([row, row | {"label": ""}], named) == {5: "cat"}
    arrays = {5: Photo("", "1x8x8-aa"), 6: Photo("", "1x8x8-aa"), 7: Photo("", "1x8x8-bb")}
    row = {"id": "7", "file": "", "label": "cat", "fingerprint": "1x8x8-aa"}
    assert labels_by_photo([row], arrays) == {5: "cat", 6: "cat"}  # equal pixels, equal label
    assert labels_by_photo([{"id": "7", "file": "", "label": "cat"}], arrays) == {}
