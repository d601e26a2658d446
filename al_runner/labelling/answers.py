"""Reads and checks a filled query.csv: the answers that can be used, and a line for each one that can't."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from al_runner.errors import UsageError
from al_runner.labels import UNSURE

CANT_TELL, NEW = "?", "new:"  # CANT_TELL stands in place of a label; NEW stands before a class that is to be added
ID_NAMES = ("image_id", "id")  # Label Studio has its own ids in the column id, and writes ours into image_id
SHOWN = 5  # how many lines of one kind of trouble are shown
LONGEST = 100  # the most letters that the name of a class may have


@dataclass(frozen=True)
class Known:
    """What a filled file is checked against."""

    asked: Mapping[int, str]  # ids that wait for a label, with the names of their files; "" if there is no file
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


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, separated by commas, semicolons or tabs.

    Raises UsageError if the file can't be read, or has no column of ids or no column "label".
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror}); name the filled file with --labels FILE") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:  # Excel writes files in this other encoding
        text = content.decode("cp1252", "replace")
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)
    try:
        table = [*csv.DictReader(text.splitlines(), delimiter=mark, restval="")]
        names = {*next(csv.reader([head.strip()], delimiter=mark), [])}
    except csv.Error as error:
        raise UsageError(f"{path} can't be read as a CSV file ({error}); save it as CSV again") from error
    if not names & {*ID_NAMES} or "label" not in names:
        raise UsageError(f"{path} has the columns {', '.join(sorted(names))}; it needs id and label, as in query.csv")
    return [{str(name): str(value).strip() for name, value in row.items() if name} for row in table]


def read_answers(path: Path, known: Known) -> Answers:
    """What a filled file answers. Raises UsageError as `rows_of`."""
    labels_by_id: dict[int, list[str]] = {}
    troubles: dict[str, list[str]] = {}
    for number, row in enumerate(rows_of(path), start=2):
        id_, trouble = image_of(row, known)
        if trouble:
            troubles.setdefault("rows", []).append(f"row {number}: {trouble}")
        elif id_ is not None and row["label"]:
            labels_by_id.setdefault(id_, []).append(normalize("NFC", row["label"]))
    answers = Answers(classes=classes_of(labels_by_id, known.classes))
    for id_, labels in labels_by_id.items():
        place_labels(answers, id_, labels, known, troubles)
    used = {*answers.labels.values()}  # a new class is not added yet if all of its images are refused
    answers.classes = [*known.classes, *(name for name in answers.classes[len(known.classes) :] if name in used)]
    answers.troubles = [f"{path.name}: {line}" for lines in troubles.values() for line in first_lines(lines)]
    return answers


def image_of(row: Mapping[str, str], known: Known) -> tuple[int | None, str]:
    """The id of a row, or what is wrong with the row. Both are empty (None and "") if the row says nothing."""
    text = next((row[name] for name in ID_NAMES if row.get(name)), "")
    if not text:
        return None, f"label {row['label']!r} has no id; it is ignored" if row["label"] else ""
    if not text.isdecimal() or not (int(text) in known.asked or int(text) in known.answered):
        return None, f"{text!r} is not the id of an image that was asked for; the row is ignored"
    file = known.asked.get(int(text), "")
    if file and row.get("file") and row["file"] != file:
        return None, f"image {text} is {file}, not {row['file']}; was one column sorted alone? It is ignored"
    return int(text), ""


def classes_of(labels_by_id: Mapping[int, Sequence[str]], classes: Sequence[str]) -> list[str]:
    """The known classes, then those that the file adds. If no class is known, every label of the file is a class."""
    words = [word for labels in labels_by_id.values() for word in labels if word != CANT_TELL]
    added = [word[len(NEW) :].strip() for word in words if word.startswith(NEW)]
    if not classes:
        added += [word for word in words if not word.startswith(NEW)]
    kept = [*classes]
    for name in sorted({*added}):
        if name and len(name) <= LONGEST and name.isprintable() and class_named(name, kept) is None:
            kept.append(name)
    return kept


def class_named(name: str, classes: Sequence[str]) -> str | None:
    """The class of this name, or the only one that differs from it in capital letters alone; None if there is none."""
    if name in classes:
        return name
    close = [other for other in classes if other.casefold() == name.casefold()]
    return close[0] if len(close) == 1 else None


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
        troubles.setdefault("unknown", []).append(
            f"image {id_}: {given!r} is no class (the classes are: {classes}); write {NEW}{labels[0]} to add it"
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
