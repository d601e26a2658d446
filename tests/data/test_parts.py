"""Which files of a folder are read, and as what: hidden ones, links, splits by their names."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from made_images import classes, save

from al_runner.data.parts import Listed, images_in
from al_runner.errors import UsageError


def names(root: Path, found: Listed) -> dict[str, dict[str, list[str]]]:
    """The files found, relative to the root."""
    return {
        part: {name: [str(file.relative_to(root)) for file in files] for name, files in held.items()}
        for part, held in found.parts.items()
    }


PLAIN = {"train": {name: [f"{name}/{number:02}.png" for number in range(3)] for name in "ab"}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return classes(tmp_path / "photos", each=3)


@pytest.mark.parametrize(
    "hidden",
    [
        ".ipynb_checkpoints/00.png", ".thumbnails/large/00.png", ".00.png", "._00.png", ".hidden.jpg",
        "__MACOSX/00.png", "@eaDir/00.png/SYNO_THUMB.png", "$RECYCLE.BIN/00.png", "#recycle/00.png", ".git/x/00.png",
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["a", "a/deeper", "."])
def test_nothing_hidden_is_read(root: Path, hidden: str, where: str) -> None:
    expected = {part: {name: [*files] for name, files in held.items()} for part, held in PLAIN.items()}
    if where == "a/deeper":
        save(root / "a" / "deeper" / "03.png")
        expected["train"]["a"].append("a/deeper/03.png")
    if where == "." and "/" not in hidden:
        hidden = f".folder/{hidden}"
    save(root / where / hidden)
    found = images_in(root, None)
    assert names(root, found) == expected
    assert found.notes == ()


def test_a_root_below_a_hidden_folder_is_read(tmp_path: Path) -> None:
    root = classes(tmp_path / ".data" / "photos", each=3)
    assert names(root, images_in(root, None)) == PLAIN


@pytest.mark.parametrize("target", ["folder", "nested", "file", "class"])
def test_links_are_followed(root: Path, tmp_path: Path, target: str) -> None:
    away = classes(tmp_path / "away", each=2)
    if target == "folder":
        (root / "a" / "more").symlink_to(away / "a")
        more = ["a/more/00.png", "a/more/01.png"]
    elif target == "nested":
        (root / "a" / "more").symlink_to(away)
        more = [f"a/more/{name}/0{number}.png" for name in "ab" for number in range(2)]
    elif target == "file":
        (root / "a" / "other.png").symlink_to(away / "a" / "00.png")
        more = ["a/other.png"]
    else:
        (root / "c").symlink_to(away / "a")
        more = []
    expected = {"a": [*PLAIN["train"]["a"], *more], "b": PLAIN["train"]["b"]}
    if target == "class":
        expected["c"] = ["c/00.png", "c/01.png"]
    assert names(root, images_in(root, None)) == {"train": expected}


CIRCLES: dict[str, Callable[[Path], object]] = {
    "to the class": lambda root: (root / "a" / "loop").symlink_to(root / "a"),
    "to the root": lambda root: (root / "a" / "loop").symlink_to(root),
    "to itself": lambda root: (root / "a" / "loop").symlink_to(root / "a" / "loop"),
    "one by the other": lambda root: (
        (root / "a" / "one").mkdir(),
        (root / "a" / "one" / "two").symlink_to(root / "a"),
        (root / "a" / "two").symlink_to(root / "a" / "one"),
    ),
    "relative": lambda root: (root / "a" / "loop").symlink_to(".."),
    "to an image that is there": lambda root: (root / "a" / "twin.png").symlink_to("00.png"),
}


@pytest.mark.parametrize("circle", CIRCLES)
def test_circles_end_and_a_file_counts_once(root: Path, circle: str) -> None:
    CIRCLES[circle](root)
    found = names(root, images_in(root, None))["train"]
    if circle == "to itself":  # a link to nothing, which is named when it is read
        assert found["a"].pop() == "a/loop"
    assert found == PLAIN["train"]


@pytest.mark.parametrize("link", ["file", "folder", "class"])
def test_one_file_is_not_of_two_classes(root: Path, link: str) -> None:
    if link == "file":
        (root / "b" / "x.png").symlink_to(root / "a" / "00.png")
    elif link == "folder":
        (root / "b" / "more").symlink_to(root / "a")
    else:
        (root / "c").symlink_to(root / "a")
    with pytest.raises(UsageError, match=r"a/00\.png and .* are links to one file, but an image has one class"):
        images_in(root, None)


def test_one_file_is_not_in_train_and_test(tmp_path: Path) -> None:
    for part in ("train", "test"):
        classes(tmp_path / part, each=3)
    (tmp_path / "test" / "a" / "more").symlink_to(tmp_path / "train" / "a")
    with pytest.raises(UsageError, match=r"train/a/00\.png and .*test/a/more/00\.png are links to one file"):
        images_in(tmp_path, None)


def test_a_class_that_is_a_link_to_nothing_is_named(root: Path) -> None:
    (root / "c").symlink_to(root.parent / "gone")
    with pytest.raises(UsageError, match=r"photos/c is a link to nothing; repair it"):
        images_in(root, None)


def test_what_is_left_out_is_said(root: Path) -> None:
    (root / "a" / "notes.txt").write_text("")
    save(root / "loose.png")
    (root / "a" / "photo.heic").write_text("")
    (root / "a" / "Thumbs.db").write_text("")
    loose, other = images_in(root, None).notes
    assert loose == f"1 images lie in no class and are left out: {root}/loose.png"
    assert other == (f"2 files are no images by their names and are left out: {root}/a/notes.txt, {root}/a/photo.heic")


SPELLINGS = [
    ("train", "val", "test"), ("training", "validation", "testing"), ("Training", "Validation", "Testing"),
    ("TRAIN", "VAL", "TEST"), ("Train", "Valid", "Test"), ("train", "valid", "test"), ("training", "val", "Test"),
]  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS, ids="-".join)
@pytest.mark.parametrize("kept", [(0, 1, 2), (0, 2), (0, 1)], ids=["all", "no val", "no test"])
def test_parts_are_known_by_any_of_their_names(
    tmp_path: Path, spelling: tuple[str, ...], kept: tuple[int, ...]
) -> None:
    for place in kept:
        classes(tmp_path / spelling[place], each=3)
    found = images_in(tmp_path, None)
    parts = ("train", "val", "test")
    assert names(tmp_path, found) == {
        parts[place]: {n: [f"{spelling[place]}/{n}/0{number}.png" for number in range(3)] for n in "ab"}
        for place in kept
    }
    assert next(iter(found.parts)) == "train"


@pytest.mark.parametrize("part", ["train", "test", "val", "Training", "validation", "TEST"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_class_may_be_called_as_a_part(root: Path, part: str, nested: bool) -> None:
    """Its images lie in it, some of them deeper; with class folders alone it would be a part."""
    (root / "b").rename(root / part)
    if nested:
        classes(root / part / "deeper", each=1)
    assert sorted(images_in(root, None).parts["train"]) == sorted(["a", part])


def test_both_may_be_classes(root: Path) -> None:
    (root / "a").rename(root / "train")
    (root / "b").rename(root / "test")
    assert [*images_in(root, None).parts["train"]] == ["test", "train"]


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "parts of names that are not known": (
        lambda root: [classes(root / part) for part in ("Lernen", "Pruefen")],
        r"Lernen, Pruefen all hold the sub-folders a, b, so they look like parts and not like classes; name them",
    ),
    "one class fewer in one": (
        lambda root: (classes(root / "fold1", "abc"), classes(root / "fold2", "ab"), classes(root / "fold3", "ab")),
        r"fold1, fold2, fold3 all hold the sub-folders a, b",
    ),
    "a stray image in every part": (
        lambda root: [(classes(root / part), save(root / part / "all.png")) for part in ("train", "test")],
        r"test, train all hold the sub-folders a, b",
    ),
    "train alone": (
        lambda root: classes(root / "train"),
        r"has train/ with class folders in it but no test/ with the same; add it, or give dataset\.path=",
    ),
    "test alone": (lambda root: classes(root / "Test"), r"has Test/ with class folders in it but no train/ with"),
    "a test set without classes": (
        lambda root: (classes(root / "train"), save(root / "test" / "1.png")),
        r"no test/ with the same, and beside it test/; add it",
    ),
    "a part among classes": (
        lambda root: (classes(root / "train"), save(root / "bus" / "1.png")),
        r"and beside it bus/; .*dataset\.splits=false makes every sub-folder a class",
    ),
    "two of a kind": (
        lambda root: [classes(root / part) for part in ("train", "Training", "test")],
        r"has Training/ and train/, and both mean train; keep one",
    ),
    "other classes in test": (
        lambda root: (classes(root / "train", "ab"), classes(root / "test", "ac")),
        r"train/ and test/ hold different classes; give both the same sub-folders",
    ),
    "other classes in val": (
        lambda root: (classes(root / "train"), classes(root / "test"), classes(root / "Valid", "bc")),
        r"train/ and Valid/ hold different classes",
    ),
    "other classes in val, and no class to train on": (
        lambda root: (classes(root / "test"), classes(root / "val", "ac"), save(root / "unlabelled" / "1.png")),
        r"test/ and val/ hold different classes; give both the same sub-folders \(only one has 'b', 'c'\)",
    ),
    "a folder too high": (lambda root: classes(root / "photos"), r"1 class folders found; .*dataset\.path=.*/photos"),
    "unlabelled in test": (
        lambda root: [classes(root / part, ["a", "b", "unlabelled"]) for part in ("train", "test")],
        r"test/unlabelled: images to measure with need labels; move it out",
    ),
    "nothing unlabelled": (
        lambda root: (classes(root), (root / "Unlabeled").mkdir()),
        r"/Unlabeled holds no image .*fill or remove it",
    ),
    "loose images": (
        lambda root: save(root / "1.png"),
        r"0 class folders found; .*to label these images yourself, move them into .*/unlabelled",
    ),
    "nothing": (lambda root: root.mkdir(exist_ok=True), r"0 class folders found; give two or more"),
    "an empty class": (lambda root: (classes(root), (root / "c").mkdir()), r"/c holds no image .*fill the class"),
    "a class that is a circle": (lambda root: (classes(root), (root / "c").symlink_to(root)), r"/c holds no image"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_can_t_be_told_is_refused(tmp_path: Path, kind: str) -> None:
    make, message = REFUSED[kind]
    make(tmp_path)
    with pytest.raises(UsageError, match=message) as caught:
        images_in(tmp_path, None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("parts", [("Lernen", "Pruefen"), ("train", "test"), ("left", "right"), ("train", "bus")])
def test_an_option_makes_every_sub_folder_a_class(tmp_path: Path, parts: tuple[str, str]) -> None:
    for part in parts:
        classes(tmp_path / part, each=2)
    found = images_in(tmp_path, False).parts
    assert {name: len(files) for name, files in found["train"].items()} == dict.fromkeys(sorted(parts), 4)
    assert [*found] == ["train"]


@pytest.mark.parametrize("inner", [["images"], ["2020", "2021"]])
def test_classes_may_have_sub_folders_of_their_own(tmp_path: Path, inner: list[str]) -> None:
    """One that all have can't be a set of classes; several are no parts where they differ."""
    for place, name in enumerate("abc"):
        for folder in inner if len(inner) == 1 else [inner[place % 2]]:
            save(tmp_path / name / folder / "1.png")
    assert [*images_in(tmp_path, None).parts["train"]] == ["a", "b", "c"]


def test_folders_beside_the_parts_are_named(tmp_path: Path) -> None:
    for part in ("train", "test", "extra"):
        classes(tmp_path / part)
    (tmp_path / "docs").mkdir()
    (note,) = images_in(tmp_path, None).notes
    assert note == f"{tmp_path}/extra is not read; {tmp_path} has parts, and it is none of them"


def test_a_folder_that_can_t_be_read_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so what a user would meet is raised where the folder is opened."""
    plain = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(
        UsageError, match=re.escape(f"{root / 'b'} can't be read (Permission denied); make it readable")
    ):
        images_in(root, None)


def test_the_order_is_that_of_the_paths(tmp_path: Path) -> None:
    """As `sorted` has paths, part by part: ids of data sets that were read before stay what they were."""
    for name in ("a", "b"):
        for file in ("z.png", "Z.png", "10.png", "9.png", "x/1.png", "x-y/1.png", "x.y/1.png"):
            save(tmp_path / name / file)
    expected = sorted((tmp_path / "a").rglob("*.png"))
    assert images_in(tmp_path, False).parts["train"]["a"] == expected
