"""Reads and checks a filled query.csv: the answers that can be used, and a line for each one that can't."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from al_runner.labelling.rows import CANT_TELL, NEW, Photo, id_in, is_reserved, labels_in, rows_of
from al_runner.labels import UNSURE

SHOWN = 5  # how many lines of one kind of trouble are shown
LONGEST = 100  # the most letters that the name of a class may have


@dataclass(frozen=True)
class Known:
    """What a filled file is checked against."""

    asked: Mapping[int, Photo]  # the images that wait for a label, by id
    classes: Sequence[str]
    answered: Mapping[int, str | None]  # labels that were given before; None if the person couldn't tell


@dataclass
class Answers:
    """What a filled file says."""

    labels: dict[int, str | None] = field(default_factory=dict)  # None: can't tell
    classes: list[str] = field(default_factory=list)  # the known ones, then the new ones by name
    troubles: list[str] = field(default_factory=list)  # a line each
    refused: dict[int, str] = field(default_factory=dict)  # what the file says of images that still wait for a label

    def label_numbers(self) -> dict[int, int]:
        """The labels by image id, as numbers from 0 in the order of `classes`; UNSURE for "can't tell"."""
        return {id_: UNSURE if name is None else self.classes.index(name) for id_, name in self.labels.items()}


def read_answers(path: Path, known: Known) -> Answers:
    """What a filled file answers. Raises UsageError as `rows_of`."""
    labels_by_id: dict[int, list[str]] = {}
    troubles: dict[str, list[str]] = {}
    for number, row in enumerate(rows_of(path), start=2):
        id_, trouble = image_of(row, known)
        if trouble:
            troubles.setdefault("rows", []).append(f"row {number}: {trouble}")
        elif id_ is not None and (labels := labels_in(row)):
            labels_by_id.setdefault(id_, []).extend(map(composed, labels))
    answers = Answers(classes=classes_of(labels_by_id, known.classes))
    for id_, labels in labels_by_id.items():
        place_labels(answers, id_, labels, known, troubles)
    used = {*answers.labels.values()}  # a new class is not added yet if all of its images are refused
    answers.classes = [*known.classes, *(name for name in answers.classes[len(known.classes) :] if name in used)]
    lines = [f"{path.name}: {line}" for kind in troubles.values() for line in first_lines(kind)]
    answers.troubles = [" ".join(line.splitlines()) for line in lines]  # a name may hold a line break
    return answers


def image_of(row: Mapping[str, str], known: Known) -> tuple[int | None, str]:
    """The id of a row, or what is wrong with the row. Both are empty (None and "") if the row says nothing."""
    text = id_in(row)
    if not text:
        return None, f"label {', '.join(labels)!r} has no id; it is ignored" if (labels := labels_in(row)) else ""
    if not text.isdecimal() or not (int(text) in known.asked or int(text) in known.answered):
        return None, f"{text!r} is not the id of an image that was asked for; the row is ignored"
    photo = known.asked.get(int(text), Photo(""))
    if photo.file and row.get("file") and row["file"] != photo.file:
        return None, f"image {text} is {photo.file}, not {row['file']}; was one column sorted alone? It is ignored"
    if photo.has_other_pixels(row):
        return (
            None,
            f"image {text} has other pixels than the image of this row; is the table of other data? It is ignored",
        )
    return int(text), ""


def classes_of(labels_by_id: Mapping[int, Sequence[str]], classes: Sequence[str]) -> list[str]:
    """The known classes, then those that the file adds. If no class is known, every label of the file is a class."""
    words = [word for labels in labels_by_id.values() for word in labels if word != CANT_TELL]
    added = [word[len(NEW) :].strip() for word in words if word.startswith(NEW)]
    if not classes:
        added += [word for word in words if not word.startswith(NEW)]
    kept = [*classes]
    for name in sorted({*added}):
        sound = name and len(name) <= LONGEST and name.isprintable() and not is_reserved(name)
        if sound and class_named(name, kept) is None:
            kept.append(name)
    return kept


def class_named(name: str, classes: Sequence[str]) -> str | None:
    """The class of this name; None if there is none.

    Otherwise it is the only one that looks the same, since macOS takes letters such as ä apart in the names of folders,
    or the only one that differs in capital letters alone.
    """
    for form in (str, composed, folded):
        close = [other for other in classes if form(other) == form(name)]
        if len(close) == 1:
            return close[0]
    return None


def composed(name: str) -> str:
    """The name with each letter as one sign, without spaces around it, which a table does not keep."""
    return normalize("NFC", name).strip()


def folded(name: str) -> str:
    """The name without capital letters, each letter as one sign."""
    return composed(composed(name).casefold())


def place_labels(
    answers: Answers, id_: int, labels: Sequence[str], known: Known, troubles: dict[str, list[str]]
) -> None:
    """Put an image's labels into `answers.labels`, or into `answers.refused` with a line in `troubles`."""
    names = {class_meant(label, answers.classes) for label in labels}
    given = ", ".join(dict.fromkeys(labels))
    if id_ in known.answered:
        if names != {known.answered[id_]}:
            before = known.answered[id_] or "can't tell"
            troubles.setdefault("late", []).append(f"image {id_} was answered before ({before}); {given} is ignored")
    elif len(names) > 1:
        troubles.setdefault("double", []).append(f"image {id_} has several labels ({given}); give one")
        answers.refused[id_] = ""
    elif (name := names.pop()) == "":
        classes = ", ".join(answers.classes) or "none yet"
        remedy = f"write {NEW}{labels[0]} to add it"
        if is_reserved(labels[0]):
            remedy = f"a class is 1 to {LONGEST} letters, but not {CANT_TELL}, and does not begin with {NEW}"
        troubles.setdefault("unknown", []).append(
            f"image {id_}: {given!r} is no class (the classes are: {classes}); {remedy}"
        )
        answers.refused[id_] = labels[0]
    else:
        answers.labels[id_] = name


def class_meant(label: str, classes: Sequence[str]) -> str | None:
    """The class that a label means; None if the label is CANT_TELL, "" if it is no class."""
    if label == CANT_TELL:
        return None
    return class_named(label.removeprefix(NEW).strip(), classes) or ""


def first_lines(lines: Sequence[str]) -> Iterator[str]:
    """The first SHOWN lines, and one line that says how many more there are."""
    yield from lines[:SHOWN]
    if len(lines) > SHOWN:
        yield f"and {len(lines) - SHOWN} more such lines"
