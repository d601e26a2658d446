"""A filled query.csv, read and checked: what can be taken, and a line for everything that can't."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from al_runner.errors import UsageError
from al_runner.labels import UNSURE

CANT_TELL, NEW = "?", "new:"  # in place of a label; before a class that is to be added
ID_NAMES = ("image_id", "id")  # Label Studio has ids of its own, and ours in its column image_id
SHOWN = 5  # lines of one kind of trouble
LONGEST = 100  # letters of a class's name


@dataclass(frozen=True)
class Known:
    """What a query is checked against."""

    asked: Mapping[int, str]  # ids that wait for a label, and the names of their files, "" where there are none
    classes: Sequence[str]
    answered: Mapping[int, str | None]  # labels that were given before, None where somebody couldn't tell


@dataclass
class Answers:
    """What a file says."""

    labels: dict[int, str | None] = field(default_factory=dict)  # None: can't tell
    classes: list[str] = field(default_factory=list)  # the known ones, then the new ones by name
    troubles: list[str] = field(default_factory=list)  # a line each
    refused: dict[int, str] = field(default_factory=dict)  # what stands there for images that still wait

    def places(self) -> dict[int, int]:
        """The labels as places among the classes, or UNSURE."""
        return {id_: UNSURE if name is None else self.classes.index(name) for id_, name in self.labels.items()}


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, separated by commas, semicolons or tabs; UsageError where it has no id and no label."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror}); name the filled file with --labels FILE") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:  # as Excel writes it
        text = content.decode("cp1252", "replace")
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)
    try:
        table = [*csv.DictReader(text.splitlines(), delimiter=mark, restval="")]
        names = {*next(csv.reader([head.strip()], delimiter=mark), [])}
    except csv.Error as error:
        raise UsageError(f"{path} can't be read as a CSV file ({error}); save it as CSV again") from error
    if not names & {*ID_NAMES} or "label" not in names:
        raise UsageError(f"{path} has the columns {', '.join(sorted(names))}; id and label are wanted, as in query.csv")
    return [{str(name): str(value).strip() for name, value in row.items() if name} for row in table]


def read_answers(path: Path, known: Known) -> Answers:
    """What a filled file answers; UsageError where it can't be read at all."""
    found: dict[int, list[str]] = {}
    troubles: dict[str, list[str]] = {}
    for number, row in enumerate(rows_of(path), start=2):
        id_, trouble = image_of(row, known)
        if trouble:
            troubles.setdefault("rows", []).append(f"row {number}: {trouble}")
        elif id_ is not None and row["label"]:
            found.setdefault(id_, []).append(normalize("NFC", row["label"]))
    answers = Answers(classes=classes_of(found, known.classes))
    for id_, labels in found.items():
        take(answers, id_, labels, known, troubles)
    used = {*answers.labels.values()}  # one whose only images are refused is not added yet
    answers.classes = [*known.classes, *(name for name in answers.classes[len(known.classes) :] if name in used)]
    answers.troubles = [f"{path.name}: {line}" for lines in troubles.values() for line in first(lines)]
    return answers


def image_of(row: Mapping[str, str], known: Known) -> tuple[int | None, str]:
    """The id of a row, or what is wrong with it; neither where the row says nothing."""
    text = next((row[name] for name in ID_NAMES if row.get(name)), "")
    if not text:
        return None, f"label {row['label']!r} has no id; it is ignored" if row["label"] else ""
    if not text.isdecimal() or not (int(text) in known.asked or int(text) in known.answered):
        return None, f"{text!r} is no image that was asked for; it is ignored"
    file = known.asked.get(int(text), "")
    if file and row.get("file") and row["file"] != file:
        return None, f"image {text} is {file}, not {row['file']}; was one column sorted alone? It is ignored"
    return int(text), ""


def classes_of(found: Mapping[int, Sequence[str]], classes: Sequence[str]) -> list[str]:
    """The classes with those that the file adds: all of its labels where there are none so far."""
    words = [word for labels in found.values() for word in labels if word != CANT_TELL]
    added = [word[len(NEW) :].strip() for word in words if word.startswith(NEW)]
    if not classes:
        added += [word for word in words if not word.startswith(NEW)]
    kept = [*classes]
    for name in sorted({*added}):
        if name and len(name) <= LONGEST and name.isprintable() and class_named(name, kept) is None:
            kept.append(name)
    return kept


def class_named(name: str, classes: Sequence[str]) -> str | None:
    """The class of this name, capitals aside where that is clear."""
    if name in classes:
        return name
    close = [other for other in classes if other.casefold() == name.casefold()]
    return close[0] if len(close) == 1 else None


def take(answers: Answers, id_: int, labels: Sequence[str], known: Known, troubles: dict[str, list[str]]) -> None:
    """Put an image's labels where they belong: among the answers, or among what is refused, with a line."""
    said = {meant(label, answers.classes) for label in labels}
    told = ", ".join(dict.fromkeys(labels))
    if id_ in known.answered:
        if said != {known.answered[id_]}:
            held = known.answered[id_] or "can't tell"
            troubles.setdefault("late", []).append(f"image {id_} was answered before ({held}); {told} is ignored")
    elif len(said) > 1:
        troubles.setdefault("double", []).append(f"image {id_} has several labels ({told}); give one")
        answers.refused[id_] = ""
    elif (name := said.pop()) == "":
        there = ", ".join(answers.classes) or "none yet"
        troubles.setdefault("unknown", []).append(
            f"image {id_}: {told!r} is no class (there are: {there}); write {NEW}{labels[0]} to add it"
        )
        answers.refused[id_] = labels[0]
    else:
        answers.labels[id_] = name


def meant(label: str, classes: Sequence[str]) -> str | None:
    """The class that a label means; None for one who can't tell, "" for no class."""
    if label == CANT_TELL:
        return None
    return class_named(label.removeprefix(NEW).strip(), classes) or ""


def first(lines: Sequence[str]) -> Iterator[str]:
    """The first few lines, and how many more there are."""
    yield from lines[:SHOWN]
    if len(lines) > SHOWN:
        yield f"and {len(lines) - SHOWN} more such lines"
