"""The rows of a table of labels, as query.csv, a spreadsheet or Label Studio has them, and the images they speak of."""

import csv
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from itertools import zip_longest
from pathlib import Path

from al_runner.errors import UsageError

CANT_TELL, NEW = "?", "new:"  # CANT_TELL stands in place of a label; NEW stands before a class that is to be added
ID_NAMES = ("image_id", "id")  # Label Studio has its own ids in the column id, and writes ours into image_id
LABEL, NEW_CLASS = "label", "new_class"  # NEW_CLASS is the text field of Label Studio, for a class that is to be added
LONGEST_FIELD = 2**26  # letters; Label Studio's tables repeat the pictures, as text

Row = Mapping[str, str]


@dataclass(frozen=True)
class Photo:
    """What tells an image from all others, whatever its id."""

    file: str  # "" if the image came from an array
    fingerprint: str = ""  # of its pixels, after their size (`pictures.fingerprint`); "" if it is not known

    def has_other_pixels(self, row: Row) -> bool:
        """Whether a row was written for other pixels.

        Pixels of another size can't be compared. The file's name decides then, if there is one.
        """
        theirs = row.get("fingerprint", "")
        if not theirs or not self.fingerprint or theirs == self.fingerprint:
            return False
        same_size = theirs.partition("-")[0] == self.fingerprint.partition("-")[0]
        return same_size or not self.file

    def is_named_by(self, row: Row) -> bool:
        """Whether a row surely speaks of this image: it has the file's name or, if there are no files, its pixels."""
        named = self.file or row.get("fingerprint")
        return bool(named) and row.get("file", "") == self.file and not self.has_other_pixels(row)


def is_reserved(name: str) -> bool:
    """Whether a class can't have this name, because it means something else in a filled query."""
    return name == CANT_TELL or name.startswith(NEW)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, separated by commas, semicolons or tabs.

    Raises UsageError if the file can't be read, or has no column of ids or no column of labels.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror}); name the filled file with --labels FILE") from error
    text = decoded(content)
    head = text.lstrip().splitlines()[0] if text.strip() else ""
    mark = max(",;\t", key=head.count)
    try:
        with long_fields():
            # Not text.splitlines(): a file's name may hold a line break, which then is inside quotes.
            names, *table = [*csv.reader(StringIO(text, newline=""), delimiter=mark)] or [[]]
    except csv.Error as error:
        raise UsageError(f"{path} can't be read as a CSV file ({error}); save it as CSV again") from error
    names = [name.strip() for name in names]
    if not {*names} & {*ID_NAMES} or not {*names} & {LABEL, NEW_CLASS}:
        there = " ".join(", ".join(sorted(filter(None, names))).splitlines()) or "none"
        raise UsageError(f"{path} has the columns {there}; it needs id and label, as in query.csv")
    return [
        {name: cell.strip() for name, cell in zip_longest(names, row[: len(names)], fillvalue="") if name}
        for row in table
        if row
    ]


def decoded(content: bytes) -> str:
    """The text of a file in UTF-8, or in one of the two other encodings in which Excel writes tables."""
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


@contextmanager
def long_fields() -> Iterator[None]:
    """A block in which a field of a CSV file may be as long as a picture."""
    before = csv.field_size_limit(LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def id_in(row: Row) -> str:
    """The text of an image's id, "" if there is none."""
    return next((row[name] for name in ID_NAMES if row.get(name)), "")


def labels_in(row: Row) -> list[str]:
    """The labels that a row gives: what stands in the column of labels, and the class that is to be added."""
    new = row.get(NEW_CLASS, "").removeprefix(NEW).strip()
    added = new if new in ("", CANT_TELL) else NEW + new
    return [label for label in (row.get(LABEL, ""), added) if label]


def labels_by_photo(rows: Iterable[Row], photos: Mapping[int, Photo]) -> dict[int, str]:
    """The label of each of the photos that the rows speak of, "" if they give none or several.

    The ids in the rows are ignored, because they may be those of other data.
    """
    ids: dict[str, list[int]] = defaultdict(list)
    for id_, photo in photos.items():
        ids[photo.file or photo.fingerprint].append(id_)
    found: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        for id_ in ids.get(row.get("file") or row.get("fingerprint", ""), ()):
            if photos[id_].is_named_by(row):
                found[id_].update(labels_in(row))
    return {id_: labels.pop() if len(labels) == 1 else "" for id_, labels in found.items()}
