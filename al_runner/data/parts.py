"""Which folders of a data set are its parts (train, test, val), and which are its classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from al_runner.data.images import SUFFIXES
from al_runner.data.listing import Folder
from al_runner.errors import UsageError
from al_runner.system.text import listed

PARTS = {
    "train": "train", "training": "train",
    "test": "test", "testing": "test",
    "val": "val", "valid": "val", "validation": "val",
}  # fmt: skip
UNLABELLED = ("unlabelled", "unlabeled")
SETTLE = "dataset.splits=false makes every sub-folder a class"

Listing = dict[str, list[Path]]  # image files by class name, both in order


@dataclass(frozen=True)
class Listed:
    """The image files of every part by class, and notes about files that are not used."""

    parts: Mapping[str, Listing]  # "train" first; every part has the same classes
    unlabelled: tuple[Path, ...]  # images to choose from that nobody has labelled yet
    notes: tuple[str, ...]


def images_in(root: Path, splits: bool | None) -> Listed:
    """The images of every class, in the folder itself or in its parts train/, test/ and val/ (or other known names).

    A sub-folder called unlabelled, in the folder itself or in train/, is no class; with one, train/ and classes may be
    missing. `splits` False: every other sub-folder is a class. Raises UsageError if parts and classes can't be told
    apart, if parts have different classes, or if a class has no image.
    """
    whole = Folder(root)
    pools = _pools(whole)
    chosen = {} if splits is False else _parts(whole, bool(pools))
    if not chosen and splits is not False:
        _require_no_parts(whole)
    folders = {"train": whole, **chosen}
    pools += _pools(folders["train"]) if "train" in chosen else []
    classes = {part: _classes(folder, part == "train" and bool(pools)) for part, folder in folders.items()}
    (first, *others) = [part for part in classes if classes[part]] or ["train"]  # train/ may hold no class yet
    for part in others:
        if [child.path.name for child in classes[part]] != [child.path.name for child in classes[first]]:
            raise UsageError(
                f"{root}: {folders[first].path.name}/ and {folders[part].path.name}/ hold different classes; "
                f"give both the same sub-folders ({_differences(classes[first], classes[part])})"
            )
    return _found(whole, folders, classes, pools)


def _found(
    whole: Folder, folders: Mapping[str, Folder], classes: Mapping[str, Sequence[Folder]], pools: Sequence[Folder]
) -> Listed:
    """What lies in these folders of parts, their classes and the folders without labels."""
    _require_once([child for held in (*classes.values(), pools) for child in held])
    parts = {part: {child.path.name: [*child.images.values()] for child in held} for part, held in classes.items()}
    if not parts["train"]:  # whatever is labelled is there to measure with
        parts["train"] = {name: [] for part in parts.values() for name in part}
    unlabelled = tuple(file for folder in pools for file in folder.images.values())
    if pools and not unlabelled:
        raise UsageError(f"{pools[0].path} holds no image ({', '.join(SUFFIXES)}); fill or remove it")
    return Listed(parts, unlabelled, tuple(_notes(whole, folders, classes, pools)))


def _pools(folder: Folder) -> list[Folder]:
    """Its sub-folders of images without labels."""
    return [child for child in folder.children if child.path.name.lower() in UNLABELLED]


def _parts(root: Folder, unlabelled: bool) -> dict[str, Folder]:
    """The sub-folders that are parts of the data set, train first; empty if the sub-folders are classes.

    With `unlabelled` images there may be no train/, and no test/ beside it.
    """
    by_part: dict[str, Folder] = {}
    for child in root.children:
        part = PARTS.get(child.path.name.lower())
        if part is None or not _holds_classes(child):
            continue
        if part in by_part:
            raise UsageError(
                f"{root.path} has {by_part[part].path.name}/ and {child.path.name}/, and both mean {part}; keep one"
            )
        by_part[part] = child
    missing = "train/" if "train" not in by_part else "test/" if len(by_part) == 1 else ""
    if not by_part or unlabelled or not missing:
        return {part: by_part[part] for part in ("train", "test", "val") if part in by_part}
    (first, *_), rest = by_part.values(), [child for child in root.children if child not in by_part.values()]
    beside = f", and beside it {', '.join(child.path.name + '/' for child in rest[:3])}" if rest else ""
    raise UsageError(
        f"{root.path} has {first.path.name}/ with class folders in it but no {missing} with the same{beside}; add it, "
        f"or give dataset.path={first.path}; {SETTLE}"
    )


def _holds_classes(folder: Folder) -> bool:
    """Whether a folder is a part: it holds two or more folders of images, and no image beside them."""
    return not folder.loose and sum(bool(child.images) for child in folder.children) >= 2


def _require_no_parts(root: Folder) -> None:
    """Raises UsageError if all sub-folders hold the same sub-folders: they seem to be parts with unknown names."""
    held = [{child.path.name for child in folder.children if child.images} for folder in root.children]
    same = set.intersection(*held) if len(held) > 1 else set()
    if len(same) >= 2:
        raise UsageError(
            f"{root.path}: {listed([child.path.name for child in root.children], 3)} all hold the sub-folders "
            f"{listed(sorted(same), 3)}, so they look like parts and not like classes; name them train, test and val, "
            f"or {SETTLE}"
        )


def _classes(folder: Folder, pool: bool) -> list[Folder]:
    """The class folders of a part. Raises UsageError if there are fewer than two, or if one can't be a class.

    A `pool`, which has images without labels, may have fewer.
    """
    unlabelled = _pools(folder)
    named = [child for child in folder.children if child.path.name.lower() in PARTS and _holds_classes(child)]
    classes = [child for child in folder.children if child not in unlabelled and not (pool and child in named)]
    lost = [file for file in folder.loose if file.is_symlink() and not file.exists()]
    if lost:
        raise UsageError(f"{lost[0]} is a link to nothing; repair it, or remove it")
    if unlabelled and not pool:
        raise UsageError(f"{unlabelled[0].path}: images to measure with need labels; move it out of {folder.path}")
    if len(classes) < 2 and not pool:
        inside = [child for child in classes if _holds_classes(child)]
        raise UsageError(
            f"{folder.path}: {len(classes)} class folders found; give two or more, one for each class"
            + (f", as in dataset.path={inside[0].path}" if inside else "")
            + (f"; to label these images yourself, move them into {folder.path}/unlabelled" if folder.loose else "")
        )
    empty = [child.path for child in classes if not child.images]
    if empty:
        others = next(child.other for child in classes if not child.images)
        instead = f", but other files, such as {others[0].name}; save them as images, or" if others else ";"
        raise UsageError(
            f"{empty[0]} holds no image ({', '.join(SUFFIXES)}){instead} fill the class or remove its folder"
        )
    return classes


def _differences(train: Sequence[Folder], other: Sequence[Folder]) -> str:
    """The names that only one of two parts has. They are in ASCII, since two names may look the same."""
    names = {child.path.name for child in train} ^ {child.path.name for child in other}
    return f"only one has {listed([*map(ascii, sorted(names))], 3)}"


def _require_once(classes: Sequence[Folder]) -> None:
    """Raises UsageError if links put one file into two classes or into two parts."""
    file_of: dict[str, Path] = {}
    for folder in classes:
        for real, file in folder.images.items():
            if real in file_of:
                raise UsageError(
                    f"{file_of[real]} and {file} are links to one file, but an image has one class and is in one "
                    "part; remove one of the links"
                )
            file_of[real] = file


def _notes(
    root: Folder, parts: Mapping[str, Folder], classes: Mapping[str, Sequence[Folder]], pools: Sequence[Folder]
) -> list[str]:
    """One line for each kind of files in the folder that are not used."""
    notes = []
    beside = [child.path for child in root.children if child not in (*parts.values(), *pools) and child.images]
    if parts["train"] is not root:
        notes += [f"{folder} is not read; {root.path} has parts, and it is none of them" for folder in beside]
    loose = [file for folder in {id(held): held for held in (root, *parts.values())}.values() for file in folder.loose]
    if loose:
        notes.append(f"{len(loose)} images lie in no class and are left out: {listed([*map(str, loose)], 3)}")
    other = [file for held in (*classes.values(), pools) for folder in held for file in folder.other]
    if other:
        notes.append(
            f"{len(other)} files are no images by their names and are left out: {listed([*map(str, other)], 3)}"
        )
    return notes
