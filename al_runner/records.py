"""What a run leaves behind: rounds.csv, acquired.csv, config.yaml, provenance.json; and how it is resumed."""

import csv
import errno
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from al_runner import checksums, recovery
from al_runner.atomic import replace_file
from al_runner.checksums import Checksums
from al_runner.errors import UsageError
from al_runner.interrupt import stop_point

COLUMNS = (
    "round",
    "labelled",
    "test_error",
    "test_accuracy",
    "best_test_error",
    "val_error",
    "train_error",
    "test_nll",
    "steps",
    "fit_seconds",
    "select_seconds",
    "classes",
    "energy_joules",
)
ACQUIRED = ("round", "id", "label")
PREDICTED = ("round", "id", "prediction", "confidence")
REMEDY = "restore it from a copy, go on after its last sound round with recover=true, or start anew with overwrite=true"
FILES = ("rounds.csv", "acquired.csv", "predicted.csv", "config.yaml", "provenance.json", checksums.NAME)
# The columns of every CSV; the first runs had no classes, later ones no energy.
HEADERS = {
    "rounds.csv": (COLUMNS, COLUMNS[:-1], COLUMNS[:-2]),
    "acquired.csv": (ACQUIRED,),
    "predicted.csv": (PREDICTED,),
}
# When a run ends does not change how it begins: these may differ where the purchases made so far stay as they are.
ENDS = ("budget.max_labelled", "budget.max_fraction", "budget.max_rounds")
# Where the data lie is not what they are, which their fingerprint tells.
PLACES = ("dataset.path",)


class RunFolder:
    """One run's folder: the rows it holds and the rows still to come.

    Every file is written whole to a temporary neighbour and moved into place, so a crash at any moment leaves
    the last complete state. UsageError where the folder holds another configuration, is damaged, or can't be written.
    `plan` are the sizes of the purchases asked for now, of which those made so far must be the first; `joules` tells
    what the device used for so many seconds of this run.
    """

    def __init__(
        self,
        path: Path,
        config: Mapping[str, Any],
        overwrite: bool = False,
        recover: bool = False,
        announce: Callable[[Mapping[str, Any]], None] = lambda row: None,
        plan: Sequence[int] | None = None,
        joules: Callable[[float], float | None] = lambda seconds: None,
        require: Callable[[], None] = lambda: None,
    ):
        self.path, self._announce, self._joules, self._require = path, announce, joules, require
        self._select_seconds: dict[int, float] = {}
        text = yaml.safe_dump(dict(config), sort_keys=False)
        self.recovered = self._prepare(text, overwrite, recover)
        try:
            self._sums = Checksums(path)
        except checksums.Damaged:
            raise damaged(path / checksums.NAME) from None
        self._require_same(config)
        self._acquired = self._read("acquired.csv")
        self._predicted = self._read("predicted.csv")
        self.rows = [
            {"energy_joules": "", **row, "classes": self._classes(int(row["round"]))}
            for row in self._read("rounds.csv")
        ]
        self._require_whole()
        if plan is not None:
            self._require_begins(plan)
        self._starts = self._read_starts()
        self._write("config.yaml", 0, text)

    def bought(self, round_: int) -> Tensor | None:
        ids = [int(row["id"]) for row in self._acquired if int(row["round"]) == round_]
        return torch.tensor(ids, dtype=torch.int64) if ids else None

    def buy(self, round_: int, ids: Tensor, labels: Tensor, seconds: float) -> None:
        pairs = zip(ids.tolist(), labels.tolist(), strict=True)
        rows = self._acquired + [{"round": round_, "id": id_, "label": label} for id_, label in pairs]
        self._write("acquired.csv", round_, _csv(ACQUIRED, rows))
        self._acquired = rows
        self._select_seconds[round_] = seconds
        stop_point()  # the round before is recorded, and what it chose: a run that stops here does nothing twice

    def predicted(self, round_: int, ids: Tensor, classes: Tensor, confidence: Tensor) -> None:
        new = zip(ids.tolist(), classes.tolist(), confidence.tolist(), strict=True)
        earlier = [row for row in self._predicted if int(row["round"]) < round_]  # without a purchase that never came
        rows = earlier + [
            {"round": round_, "id": id_, "prediction": label, "confidence": round(share, 6)}
            for id_, label, share in new
        ]
        self._write("predicted.csv", round_, _csv(PREDICTED, rows))
        self._predicted = rows

    def measured(self, round_: int) -> bool:
        return round_ < len(self.rows)

    def measure(self, round_: int, row: Mapping[str, float]) -> None:
        best = min([row["test_error"], *(float(earlier["test_error"]) for earlier in self.rows)])
        selecting = self._select_seconds.get(round_)  # unknown for a purchase that an interrupted process made
        joules = self._joules(row["fit_seconds"] + (selecting or 0))
        full = {
            "round": round_,
            **row,
            "best_test_error": best,
            "select_seconds": "" if selecting is None else selecting,
            "classes": self._classes(round_),
            "energy_joules": "" if joules is None else round(joules, 3),
        }
        rows = [*self.rows, full]
        self._write("rounds.csv", round_, _csv(COLUMNS, rows))
        self.rows = rows
        self._announce(full)

    def require_data(self, fingerprint: str, labels: Tensor) -> None:
        """UsageError unless the data set is that of the start before, by its fingerprint and its labels, [N] by id."""
        remedy = "the data changed; restore it, or start anew with overwrite=true"
        for row in self._acquired:
            id_ = int(row["id"])
            if id_ >= len(labels) or int(labels[id_]) != int(row["label"]):
                raise UsageError(f"{self.path / 'acquired.csv'}: id {id_} has another label in the data set: {remedy}")
        if self._starts and self._starts[-1].get("data", fingerprint) != fingerprint:
            raise UsageError(f"{self.path} holds a run on other images or labels of this name: {remedy}")

    def add_provenance(self, facts: Mapping[str, Any]) -> None:
        """Append one entry for the process that works on the run now."""
        starts = [*self._starts, dict(facts)]
        self._write("provenance.json", len(starts) - 1, json.dumps(starts, indent=2) + "\n")
        self._starts = starts

    def _classes(self, round_: int) -> int:
        """How many different labels were bought by the end of a round."""
        return len({int(row["label"]) for row in self._acquired if int(row["round"]) <= round_})

    def _prepare(self, config: str, overwrite: bool, recover: bool) -> list[str]:
        """Do away with what the folder holds, or with what of it is damaged; the names of damaged files."""
        with writing(self.path):
            if overwrite:
                for name in FILES:
                    (self.path / name).unlink(missing_ok=True)
            return recovery.recover(self.path, HEADERS, config) if recover else []

    def _write(self, name: str, round_: int, text: str) -> None:
        """Replace a file, its checksum first, if the folder is still ours."""
        self._require()
        with writing(self.path / name):
            self._sums.note(name, round_, text)
            replace_file(self.path / name, text.encode())

    def _read(self, name: str) -> list[dict[str, Any]]:
        """Rows of a CSV of ours, none where it never was; UsageError where it is damaged."""
        file = self.path / name
        if not file.exists() and self._sums.complete(name, 0):
            return []
        text = read_text(file) if file.exists() else ""
        rows = parse(text, HEADERS[name])
        if rows is None:
            raise damaged(file)
        rounds = 1 + int(rows[-1]["round"]) if rows else 0
        if not self._sums.complete(name, rounds) or (rows and not self._sums.agree(name, rounds - 1, text)):
            raise damaged(file)
        return rows

    def _read_starts(self) -> list[dict[str, Any]]:
        """The entries of provenance.json; UsageError where it is damaged."""
        file = self.path / "provenance.json"
        text = read_text(file) if file.exists() else "[]"
        try:
            starts = [*json.loads(text)]
        except (ValueError, TypeError):
            raise damaged(file) from None
        sound = not starts or self._sums.agree(file.name, len(starts) - 1, text)
        if not sound or not self._sums.complete(file.name, len(starts)):
            raise damaged(file)
        return starts

    def _require_same(self, config: Mapping[str, Any]) -> None:
        file = self.path / "config.yaml"
        if not file.exists():
            return
        text = read_text(file)
        try:
            held, asked = _flat(yaml.safe_load(text)), _flat(config)
        except (yaml.YAMLError, AttributeError):
            raise damaged(file) from None
        if not self._sums.agree("config.yaml", 0, text):
            raise damaged(file)
        changed = [key for key in sorted({*held, *asked} - {*ENDS, *PLACES}) if held.get(key) != asked.get(key)]
        if changed:
            shown = "; ".join(f"{key}: {held.get(key)} there, {asked.get(key)} asked" for key in changed[:5])
            more = f"; and {len(changed) - 5} more" if len(changed) > 5 else ""
            raise UsageError(
                f"{self.path} holds a run of another configuration ({shown}{more}); "
                "give this one name=..., or start anew with overwrite=true"
            )

    def _require_whole(self) -> None:
        rounds = [int(row["round"]) for row in self.rows]
        bought = [int(row["round"]) for row in self._acquired]
        labelled = [sum(b <= r for b in bought) for r in rounds]
        if rounds != list(range(len(rounds))) or labelled != [int(row["labelled"]) for row in self.rows]:
            raise UsageError(f"{self.path}: rounds.csv and acquired.csv do not belong together; {REMEDY}")

    def _require_begins(self, plan: Sequence[int]) -> None:
        made = Counter(int(row["round"]) for row in self._acquired)
        sizes = [made[round_] for round_ in range(len(made))]
        if sizes != list(plan[: len(sizes)]):
            raise UsageError(
                f"{self.path} holds purchases of {_sizes(sizes)}, and {_sizes(plan)} are asked: a run can be continued "
                "from whole queries, but not cut; give this one name=..., or start anew with overwrite=true"
            )


def _sizes(plan: Sequence[int]) -> str:
    """[8, 20, 20, 20] -> "8, 3 times 20"."""
    groups = ((size, len(list(same))) for size, same in groupby(plan))
    return ", ".join(f"{times} times {size}" if times > 1 else str(size) for size, times in groups)


def write(path: Path, text: str) -> None:
    """Replace the file in one step that survives a crash; UsageError where it can't be written, the old file kept."""
    with writing(path):
        replace_file(path, text.encode())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """UsageError in place of an OSError while `path` is written."""
    try:
        yield
    except OSError as error:
        fix = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "make it writable"
        raise UsageError(
            f"{path} can't be written ({error.strerror}); {fix} and run the same command again: "
            "every round recorded so far is kept"
        ) from error


def damaged(path: Path) -> UsageError:
    """The error that names a damaged file."""
    return UsageError(f"{path} is damaged; {REMEDY}")


def read_text(path: Path) -> str:
    """A text file's contents, line ends as they are; UsageError where it is damaged."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        raise damaged(path) from None


def parse(text: str, headers: Sequence[Sequence[str]]) -> list[dict[str, Any]] | None:
    """Rows of a CSV with one of these headers, None where it is none."""
    reader = csv.DictReader(text.splitlines())
    whole = tuple(reader.fieldnames or ()) in headers and text.endswith("\n")
    rows = list(reader)
    try:
        numbers = all(float(value) == float(value) for row in rows for value in row.values() if value != "")
    except (TypeError, ValueError):
        numbers = False
    return rows if whole and numbers else None


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    lines = [columns, *([row[name] for name in columns] for row in rows)]
    return "".join(",".join(str(value) for value in line) + "\n" for line in lines)


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mapping -> {"a.b.c": value}."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
