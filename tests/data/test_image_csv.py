"""ISIC 2016's own form, a folder of images and a CSV of labels, on made images."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from al_runner.errors import UsageError

FOLDER, LABELS = "ISBI2016_ISIC_Part3_Training_Data", "ISBI2016_ISIC_Part3_Training_GroundTruth.csv"
SMALL = ("resize=[8,8]", "split.per_class=4", "split.val=5")


@pytest.fixture
def isic(tmp_path: Path) -> Path:
    """Forty lesions of 12 x 16, every fourth malignant, in the challenge's layout below data_root."""
    root = tmp_path / "isic2016"
    (root / FOLDER).mkdir(parents=True)
    lines = []
    for number in range(40):
        kind = "malignant" if number % 4 == 0 else "benign"
        Image.fromarray(np.full((12, 16, 3), 6 * number, dtype=np.uint8)).save(root / FOLDER / f"ISIC_{number:07}.jpg")
        lines.append(f"ISIC_{number:07},{kind}\n")
    (root / LABELS).write_text("".join(lines))
    (root / FOLDER / "ISIC_9999999.jpg").write_bytes(b"not named in the CSV")
    return root


def test_the_files_the_csv_names_come_back_with_their_labels(load, isic: Path) -> None:
    data = load("isic2016", isic.parent, *SMALL)
    assert data.classes == ("benign", "malignant")
    assert data.labels.tolist() == [int(number % 4 == 0) for number in range(40)]
    assert data.image_shape == (3, 8, 8)
    grey = data.images.double().mean((1, 2, 3))
    assert torch.allclose(grey, 6.0 * torch.arange(40).double(), atol=2)  # JPEG
    assert torch.bincount(data.labels[data.test]).tolist() == [4, 4]
    assert (len(data.train), len(data.val), len(data.test)) == (27, 5, 8)


def test_the_folder_may_be_anywhere_and_a_changed_label_is_noticed(load, isic: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    isic.rename(elsewhere)
    before = load("isic2016", tmp_path / "root", f"path={elsewhere}", *SMALL)
    labels = elsewhere / LABELS
    labels.write_text(labels.read_text().replace("ISIC_0000001,benign", "ISIC_0000001,malignant"))
    after = load("isic2016", tmp_path / "root", f"path={elsewhere}", *SMALL)
    assert (before.labels != after.labels).nonzero().flatten().tolist() == [1]


def test_without_the_files_the_error_says_what_to_download_and_where_to_put_it(load, tmp_path: Path) -> None:
    root = tmp_path / "isic2016"
    for part, expected in ((FOLDER, root / FOLDER), (LABELS, root / LABELS)):
        with pytest.raises(Exception, match=re.escape(f"isic2016: {expected} is missing; download the training data")):
            load("isic2016", tmp_path, *SMALL)
        with pytest.raises(Exception, match=re.escape(f"isic-archive.com/data/#2016, and unpack it into {root}")):
            load("isic2016", tmp_path, *SMALL)
        (root / part).mkdir(parents=True)


def test_a_missing_image_is_named(load, isic: Path) -> None:
    for number in (3, 7):
        (isic / FOLDER / f"ISIC_{number:07}.jpg").unlink()
    with pytest.raises(Exception, match=r"ISIC_0000003\.jpg is missing, and 1 more of the 40 that ISBI2016"):
        load("isic2016", isic.parent, *SMALL)


@pytest.mark.parametrize(
    ("line", "message"),
    [("ISIC_1\n", "line 41: it must be NAME,LABEL; restore the file"), ("ISIC_0000000,benign\n", "an image twice")],
)
def test_a_damaged_csv_is_named(load, isic: Path, line: str, message: str) -> None:
    labels = isic / LABELS
    labels.write_text(labels.read_text() + line)
    with pytest.raises(Exception, match=message) as caught:
        load("isic2016", isic.parent, *SMALL)
    assert isinstance(caught.value.__cause__, UsageError) or isinstance(caught.value, UsageError)


def test_broken_and_missing_images_are_all_named_or_left_out(
    load, isic: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (5, 9):
        (isic / FOLDER / f"ISIC_{number:07}.jpg").write_bytes(b"")
    with pytest.raises(
        Exception, match=r"2 of 40 images can't be read: .*0000005\.jpg \(.*0000009\.jpg \(.*skip_broken"
    ):
        load("isic2016", isic.parent, *SMALL)
    (isic / FOLDER / "ISIC_0000003.jpg").unlink()
    data = load("isic2016", isic.parent, *SMALL, "skip_broken=true")
    assert data.labels.tolist() == [int(number % 4 == 0) for number in range(40) if number not in (3, 5, 9)]
    assert "3 of 40 images can't be read and are left out" in caplog.text


def test_images_are_upright_unstretched_and_on_a_ground_as_in_a_folder(
    load, isic: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exif = Image.Exif()
    exif[274] = 6
    upright = np.zeros((16, 12, 3), np.uint8)
    upright[:8] = 255
    Image.fromarray(np.rot90(upright)).save(isic / FOLDER / "ISIC_0000000.jpg", exif=exif, quality=95)
    top, bottom = load("isic2016", isic.parent, *SMALL).images[0].double().mean((0, 2)).tolist()[::7]
    assert (top > 240, bottom < 15) == (True, True)
    (line,) = caplog.messages
    assert line.startswith("40 of 40 images change their shape by dataset.resize=[8,8], one side up to 1.33 times")
    padded = load("isic2016", isic.parent, *SMALL, "fit=pad", "ground=black").images[39]
    assert bool((padded[:, 0] == 0).all())
    assert float(padded[:, 4].double().mean()) == pytest.approx(6 * 39, abs=2)
