"""The events of a run as its CSV and YAML files hold them. They replace damaged lines of its journal."""

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import yaml

from al_runner.record.journal import Answered, Asked, Begun, Bought, Measured, Predicted, body_of
from al_runner.record.views import CONFIG, STARTS, TABLES

Row = dict[str, Any]

# Columns of texts, by table. A text may look like a number: a class may be called 007, and a file 1e5.
TEXTS = {"acquired.csv": ("file",), "queries.csv": ("name",), "answered.csv": ("class", "file")}


def copies(folder: Path) -> list[str]:
    """Lines of the journal without their hashes, made from the views. Some may be wrong; a hash shows which."""
    tables = {name: _rows(folder / name, columns) for name, columns in TABLES.items()}
    seconds = {row["round"]: row["select_seconds"] for row in tables["rounds.csv"]}
    facts = {number: dict(zip(*columns[1:], strict=True)) for number, columns in _rounds(tables["queries.csv"])}
    return [
        *_measured(tables),
        *(
            body_of(Bought(number, ids, labels, seconds.get(number, 0.0), facts.get(number, {}), _files(names)))
            for number, (_, ids, labels, names) in _rounds(tables["acquired.csv"])
        ),
        *(
            body_of(Asked(number, ids, seconds[0], _facts(facts_json[0])))
            for number, (_, ids, seconds, facts_json) in _rounds(tables["asked.csv"])
        ),
        *(
            body_of(Answered(number, ids, labels, words, _files(names)))
            for number, (_, ids, labels, words, names) in _rounds(tables["answered.csv"], "answer")
        ),
        *(body_of(Predicted(number, *columns[1:])) for number, columns in _rounds(tables["predicted.csv"])),
        *_begun(folder),
    ]


def _measured(tables: dict[str, list[Row]]) -> Iterator[str]:
    """Every row of rounds.csv with its classes, and as versions recorded it that measured no classes."""
    classes = {number: columns[2:4] for number, columns in _rounds(tables["classes.csv"])}
    cells = {
        number: [[*cell] for cell in zip(*columns[1:], strict=True)]
        for number, columns in _rounds(tables["confusion.csv"])
    }
    for row in tables["rounds.csv"]:
        images, wrong = classes.get(row["round"], (None, None))
        yield body_of(Measured(row["round"], row, images, wrong, cells.get(row["round"])))
        yield json.dumps({"event": "measured", "round": row["round"], "row": row})


def _begun(folder: Path) -> Iterator[str]:
    with suppress(OSError, ValueError, TypeError, yaml.YAMLError):
        config = yaml.safe_load((folder / CONFIG).read_bytes())
        for start in json.loads((folder / STARTS).read_bytes()):
            yield body_of(Begun(config, start))


def _rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a table that have every column; none if the table can't be read.

    An older version may have written fewer columns; the table's header then says which.
    """
    with suppress(OSError, csv.Error):
        text = path.read_bytes().decode(errors="replace").splitlines()
        (head, *_), lines = [*csv.reader(text[:1]), []], [*csv.reader(text[1:])]
        own = head if head and head == [name for name in columns if name in head] else columns
        texts = TEXTS.get(path.name, ())
        return [
            {name: cell if name in texts else _value(cell) for name, cell in zip(own, line, strict=True)}
            for line in lines
            if len(line) == len(own)
        ]
    return []


def _rounds(rows: Sequence[Row], column: str = "round") -> Iterator[tuple[Any, list[list[Any]]]]:
    """Each round, or each value of another column, with the columns of its rows. Rows of a round are in sequence."""
    for number, group in groupby(rows, itemgetter(column)):
        yield number, [[*column] for column in zip(*(row.values() for row in group), strict=True)]


def _facts(text: Any) -> dict[str, float]:
    with suppress(ValueError):
        facts = json.loads(str(text))
        return facts if isinstance(facts, dict) else {}
    return {}


def _files(names: list[str]) -> list[str] | None:
    return names if any(names) else None


def _value(cell: str) -> Any:
    """The number in a cell, or its text if that is no number."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(cell)
    return cell
