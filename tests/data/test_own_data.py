"""What people bring and how it ends, by the command: the images that a run sees, or one line and nothing written.

The inputs are scikit-learn's digits, four classes of twenty.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from command import Command
from hydra import compose, initialize_config_dir
from made_images import png
from omegaconf import OmegaConf
from PIL import Image
from sklearn.datasets import load_digits

from al_runner.job.build import loaded
from al_runner.settings.explain import conf_dir
from al_runner.types import DataSet

BUNCH = load_digits()
IMAGES = (BUNCH.images * 15.9).astype(np.uint8)
LABELS = BUNCH.target
CHOSEN = [np.flatnonzero(label == LABELS)[:20] for label in range(4)]
PHOTOS = IMAGES[np.concatenate(CHOSEN)]
QUICK = [
    "training.max_checks=2", "budget.initial=8", "budget.query=4", "budget.max_rounds=1", "strategy=random",
]  # fmt: skip

Save = Callable[[np.ndarray, Path, int], object]


def photos(root: Path, save: Save | None = None) -> Path:
    """A folder a class; `save` writes an image to a path that has no suffix yet."""
    for label, rows in enumerate(CHOSEN):
        (root / f"c{label}").mkdir(parents=True)
        for number, row in enumerate(rows):
            (save or plain)(IMAGES[row], root / f"c{label}" / f"{number:02}", number)
    return root


def plain(image: np.ndarray, path: Path, number: int) -> None:
    Image.fromarray(image).save(path.with_suffix(".png"))


def ink(image: np.ndarray, path: Path, number: int) -> None:
    """Black ink on transparency: all that tells the images apart is in the alpha channel."""
    pixels = np.zeros((*image.shape, 4), np.uint8)
    pixels[..., 3] = image
    Image.fromarray(pixels).save(path.with_suffix(".png"))


def phone(image: np.ndarray, path: Path, number: int) -> None:
    """Every second image lies on its side, and its EXIF says so."""
    exif = Image.Exif()
    exif[274] = 6 if number % 2 else 1
    stored = np.rot90(image) if number % 2 else image
    Image.fromarray(np.kron(stored, np.ones((4, 4), np.uint8))).save(path.with_suffix(".jpg"), exif=exif, quality=95)


def deep(image: np.ndarray, path: Path, number: int) -> None:
    png(path.with_suffix(".png"), np.repeat(image[..., None], 3, -1).astype(np.uint16) * 16, 2, 16)


@pytest.fixture
def al_run(al_run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The shared fixture in `tmp_path`, for a short run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AL_DATA", str(tmp_path / "data_root"))
    return partial(al_run, *QUICK)


def seen(*arguments: str) -> DataSet:
    """The data set that a run with these arguments has."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("config", [*arguments], return_hydra_config=True)
    dataset = OmegaConf.to_yaml(cfg.dataset, resolve=True)
    return loaded(dataset, "{}", "{}", os.environ["AL_DATA"], torch.device("cpu"))


def pixels(data: DataSet) -> np.ndarray:
    return data.images[:, 0].numpy()


def linked(root: Path) -> None:
    """Half of every class lies elsewhere, behind a link."""
    for label in range(4):
        away = root.parent / "elsewhere" / f"c{label}"
        away.mkdir(parents=True)
        for file in (root / f"c{label}").glob("1*.png"):
            file.rename(away / file.name)
        (root / f"c{label}" / "more").symlink_to(away)


def hidden(root: Path) -> None:
    for label in range(4):
        copies = root / f"c{label}" / ".ipynb_checkpoints"
        copies.mkdir()
        for file in (root / f"c{label}").glob("*.png"):
            (copies / file.name).write_bytes(file.read_bytes())


def test_ink_on_transparency_is_seen(al_run: Command, tmp_path: Path) -> None:
    photos(tmp_path / "ink", ink)
    code, output = al_run("dataset=folder", "dataset.path=ink")
    assert code == 0
    assert "80 of 80 images have transparency, which is laid on white (dataset.ground)" in output
    assert np.array_equal(pixels(seen("dataset=folder", "dataset.path=ink"))[:, None], 255 - PHOTOS[:, None])


def test_images_that_come_out_equal_are_refused(al_run: Command, tmp_path: Path) -> None:
    photos(tmp_path / "ink", ink)
    code, output = al_run("dataset=folder", "dataset.path=ink", "dataset.ground=black")
    assert (code, "training images are all equal" in output) == (1, True)
    assert not [*tmp_path.glob("outputs/**/rounds.csv")]


def test_photos_of_a_phone_stand_upright(al_run: Command, tmp_path: Path) -> None:
    photos(tmp_path / "phone", phone)
    assert al_run("dataset=folder", "dataset.path=phone")[0] == 0
    found = pixels(seen("dataset=folder", "dataset.path=phone"))[:, 2::4, 2::4].astype(int)
    assert np.abs(found - PHOTOS).mean() < 8  # JPEG's loss
    assert np.abs(np.rot90(found, axes=(1, 2)) - PHOTOS).mean() > 30


@pytest.mark.parametrize("change", [hidden, linked], ids=["hidden", "linked"])
def test_hidden_copies_are_not_read_and_links_are(al_run: Command, tmp_path: Path, change) -> None:
    change(photos(tmp_path / "mine"))
    assert al_run("dataset=folder", "dataset.path=mine")[0] == 0
    found = pixels(seen("dataset=folder", "dataset.path=mine"))
    assert sorted(image.tobytes() for image in found) == sorted(image.tobytes() for image in PHOTOS)


def test_a_class_may_be_called_train(al_run: Command, tmp_path: Path) -> None:
    (photos(tmp_path / "mine") / "c0").rename(tmp_path / "mine" / "train")
    assert al_run("dataset=folder", "dataset.path=mine")[0] == 0
    assert seen("dataset=folder", "dataset.path=mine").classes == ("c1", "c2", "c3", "train")


@pytest.mark.parametrize(
    ("names", "sizes"), [(("Training", "Testing"), (72, 8, 80)), (("train", "val", "test"), (80, 80, 80))], ids=str
)
def test_parts_of_the_folder_are_parts_of_the_data_set(al_run: Command, tmp_path: Path, names, sizes) -> None:
    for name in names:
        photos(tmp_path / "mine" / name)
    assert al_run("dataset=folder", "dataset.path=mine")[0] == 0
    data = seen("dataset=folder", "dataset.path=mine")
    assert (len(data.train), len(data.val), len(data.test)) == sizes
    assert data.classes == ("c0", "c1", "c2", "c3")


def arrays(file: Path, **changes: np.ndarray) -> None:
    held = {"train_images": IMAGES[:300], "train_labels": LABELS[:300]}
    held |= {"test_images": IMAGES[300:400], "test_labels": LABELS[300:400], **changes}
    np.savez(file, **held)


def channels_first(file: Path) -> None:
    four = np.repeat(IMAGES[:, None], 4, 1)
    arrays(file, train_images=four[:300], test_images=four[300:400])


REFUSED: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "deep": (
        lambda root: photos(root / "mine", deep),
        ["dataset=folder"],
        "80 of 80 images have more than 8 bits a channel",
    ),
    "dangling": (
        lambda root: (photos(root / "mine") / "c0" / "zz.png").symlink_to(root / "nowhere.png"),
        ["dataset=folder"],
        "mine/c0/zz.png (a link to nothing); replace or remove them, or leave them out with dataset.skip_broken=true",
    ),
    "resize": (
        lambda root: photos(root / "mine"),
        ["dataset=folder", "dataset.resize=big"],
        "dataset.resize is big; give one number",
    ),
    "unlabelled": (
        lambda root: (photos(root / "mine"), photos(root / "mine" / "unlabelled")),
        ["dataset=folder"],
        "80 images have no label, and oracle=simulated answers with the data set's own; take oracle=person",
    ),
    "other parts": (
        lambda root: [photos(root / "mine" / part) for part in ("Lernen", "Pruefen")],
        ["dataset=folder"],
        "look like parts and not like classes",
    ),
    "channels first": (
        lambda root: channels_first(root / "mine"),
        ["dataset=npz"],
        "dataset.channels=first reads it as",
    ),
    "objects": (
        lambda root: arrays(root / "mine", classes=np.array([str(n) for n in range(10)], dtype=object)),
        ["dataset=npz"],
        "classes holds Python objects; save words, numpy.array(classes, dtype=str)",
    ),
    "from 1": (
        lambda root: arrays(root / "mine", train_labels=LABELS[:300] + 1, test_labels=LABELS[300:400] + 1),
        ["dataset=npz"],
        "no image is of class 0, labels are 1 .. 10; relabel them 0 .. 9, or set dataset.relabel=true",
    ),
    "one class": (
        lambda root: arrays(root / "mine", train_labels=LABELS[:300] * 0, test_labels=LABELS[300:400] * 0),
        ["dataset=npz"],
        "training images are all of class '0'",
    ),
    "nan": (
        lambda root: arrays(root / "mine", train_labels=np.where(LABELS[:300] == 3, np.nan, LABELS[:300])),
        ["dataset=npz"],
        "some are NaN or infinite: leave images without a label out",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_can_t_be_right_is_one_line(al_run: Command, tmp_path: Path, kind: str) -> None:
    make, words, message = REFUSED[kind]
    make(tmp_path)
    path = "mine.npz" if words == ["dataset=npz"] else "mine"
    code, output = al_run(*words, f"dataset.path={path}")
    assert code == 1
    assert message in output
    assert "Traceback" not in output
    assert "delete" not in output
    assert not [*tmp_path.glob("outputs/**/rounds.csv")]


def test_vectors_are_told_what_is_wanted(al_run: Command, tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", IMAGES.reshape(-1, 64).astype(np.float32))
    code, output = al_run("dataset=npz", "dataset.path=vectors.npy")
    assert (code, "vectors.npy holds one array, float32 (1797, 64); give an .npz file with" in output) == (1, True)


def labelled(labels: np.ndarray) -> Callable[[Path], None]:
    return lambda file: arrays(file, train_labels=labels[:300], test_labels=labels[300:400])


TAKEN: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "column labels": (labelled(LABELS[:, None]), []),
    "channels first": (channels_first, ["dataset.channels=first"]),
    "from 1": (labelled(LABELS + 1), ["dataset.relabel=true"]),
    "words": (labelled(LABELS.astype(str)), []),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_arrays_of_every_usual_form_run(al_run: Command, tmp_path: Path, kind: str) -> None:
    make, words = TAKEN[kind]
    make(tmp_path / "mine.npz")
    assert al_run("dataset=npz", "dataset.path=mine.npz", *words)[0] == 0
    data = seen("dataset=npz", "dataset.path=mine.npz", *words)
    assert np.array_equal(pixels(data), IMAGES[:400])
    assert data.labels.tolist() == LABELS[:400].tolist()


def test_data_that_moved_are_the_same_data(al_run: Command, tmp_path: Path) -> None:
    arrays(tmp_path / "good.npz")
    assert al_run("dataset=npz", "dataset.path=good.npz", "results=m")[0] == 0
    (rows,) = tmp_path.glob("m/*/*/*/*/rounds.csv")
    before = rows.read_text()
    (tmp_path / "moved").mkdir()
    (tmp_path / "good.npz").rename(tmp_path / "moved" / "good.npz")
    again = ("dataset=npz", "dataset.path=moved/good.npz", "results=m", "budget.max_rounds=2")
    code, output = al_run(*again)
    assert code == 0, output
    after = rows.read_text()
    assert after.startswith(before)
    assert [line.split(",")[:2] for line in after.splitlines()[1:]] == [["0", "8"], ["1", "12"], ["2", "16"]]
    arrays(tmp_path / "other.npz", train_images=255 - IMAGES[:300])
    code, output = al_run(*again, "dataset.path=other.npz")
    assert (code, "holds a run on other images or labels" in output) == (1, True)
    assert rows.read_text() == after


def test_a_folder_that_moved_is_the_same_data(al_run: Command, tmp_path: Path) -> None:
    photos(tmp_path / "mine")
    assert al_run("dataset=folder", "dataset.path=mine", "results=m")[0] == 0
    (tmp_path / "mine").rename(tmp_path / "elsewhere")
    code, output = al_run("dataset=folder", "dataset.path=elsewhere", "results=m", "budget.max_rounds=2")
    assert code == 0, output
    (rows,) = tmp_path.glob("m/*/*/*/*/rounds.csv")
    assert len(rows.read_text().splitlines()) == 4
