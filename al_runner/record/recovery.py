"""Cutting a run with damaged files back to its last sound round; the damaged files are kept beside."""

import json
import shutil
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from al_runner.record.checksums import NAME, Checksums, Damaged
from al_runner.system.atomic import replace_file

PREDICTED = "predicted.csv"
MISSING = ""  # in place of a text


Headers = Mapping[str, Sequence[Sequence[str]]]


def recover(folder: Path, headers: Headers, config: str) -> list[str]:
    """Make the folder's files sound again; the names of those that were not.

    `headers` are the columns that each CSV may have, `config` what config.yaml must hold if it is this run's. OSError
    where a file can't be read or written.
    """
    damaged = []
    try:
        sums = Checksums(folder)
    except Damaged:
        damaged.append(_aside(folder / NAME))
        sums = Checksums(folder)
    texts = {name: sound_rounds(folder / name, headers[name], sums, first=int(name == PREDICTED)) for name in headers}
    for name, rounds in _kept(folder, texts, sums).items():
        text = texts[name][rounds - 1] if rounds else MISSING
        if _text(folder / name) != text or not sums.complete(name, rounds):
            damaged += [_aside(folder / name)] if (folder / name).exists() else [name]
            sums.cut(name, rounds)
            if text:
                replace_file(folder / name, text.encode())
    file = folder / "config.yaml"
    if file.exists() and not sums.agree("config.yaml", 0, _text(file)) and sums.agree("config.yaml", 0, config):
        damaged.append(_aside(file))
    if not _sound_starts(folder / "provenance.json", sums):
        damaged.append(_aside(folder / "provenance.json"))
        sums.cut("provenance.json", 0)
    return damaged


def _kept(folder: Path, texts: Mapping[str, Sequence[str]], sums: Checksums) -> dict[str, int]:
    """How many rounds of each CSV belong together: as many purchases as are sound, each measured but for the last."""
    measured, bought = texts["rounds.csv"], texts["acquired.csv"]
    rounds = 0
    for row, ids in zip(measured, bought, strict=False):
        if labelled(row) != len(ids.splitlines()) - 1:
            break
        rounds += 1
    purchases = rounds + int(len(bought) > rounds and sums.knows("acquired.csv", rounds))
    if (folder / PREDICTED).exists() or sums.knows(PREDICTED, 1):  # 0.1.0 did not write it
        purchases = min(purchases, max(1, len(texts[PREDICTED])))
    predicted = min(purchases + 1, len(texts[PREDICTED]))  # it is written before the purchase
    return {"rounds.csv": min(rounds, purchases), "acquired.csv": purchases, PREDICTED: predicted}


def sound_rounds(path: Path, headers: Sequence[Sequence[str]], sums: Checksums, first: int = 0) -> list[str]:
    """The file's text up to the end of round 0, 1, ..., as far as it is whole and agrees with the checksums.

    Before round `first` it has no rows, and is missing.
    """
    header, *lines = _text(path).splitlines(keepends=True) or [""]
    columns = header.removesuffix("\n").split(",")
    if tuple(columns) not in headers or not header.endswith("\n"):
        return []
    texts = [MISSING] * first + [header]
    for expected, (round_, rows) in enumerate(groupby(lines, lambda line: line.partition(",")[0]), start=first):
        part = [*rows]
        text = texts[-1] + "".join(part)
        whole = round_ == str(expected) and all(_is_row(row, len(columns)) for row in part)
        if not whole or not sums.agree(path.name, expected, text):
            break
        texts.append(text)
    return texts[:first] + texts[first + 1 :]


def _sound_starts(path: Path, sums: Checksums) -> bool:
    """Whether a provenance.json, if there is one, is what was written."""
    text = _text(path)
    try:
        starts = len(json.loads(text)) if text else 0
    except (ValueError, TypeError):
        return False
    return not starts or sums.agree(path.name, starts - 1, text)


def labelled(text: str) -> int:
    """What the last row of a rounds.csv gives as labelled."""
    return int(text.splitlines()[-1].split(",")[1])


def _is_row(line: str, fields: int) -> bool:
    values = line.removesuffix("\n").split(",")
    try:
        return line.endswith("\n") and len(values) == fields and all(float(v) == float(v) for v in values if v)
    except ValueError:
        return False


def _text(path: Path) -> str:
    """What the file holds, with bytes that are no text replaced; MISSING where there is none."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return MISSING


def _aside(path: Path) -> str:
    """Move a damaged file out of the way; its name."""
    number = 1
    while (kept := path.with_name(f"{path.name}.damaged{number}")).exists():
        number += 1
    shutil.move(path, kept)
    return path.name
