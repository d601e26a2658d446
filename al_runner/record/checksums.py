"""checksums.json: what the files of a run must hash to, so that damage which still looks like a record is found.

For rounds.csv and acquired.csv it holds a hash of the whole file after every round, and is written before the file: a
crash between the two leaves a file that lacks its last round, never one that looks damaged.
"""

import hashlib
import json
from pathlib import Path

from al_runner.system.atomic import replace_file

NAME = "checksums.json"


class Damaged(Exception):
    """The checksums themselves can't be read."""


class Checksums:
    """The hashes by file and round; none where a folder has no checksums.json. Damaged where it can't be read."""

    def __init__(self, folder: Path):
        self._path = folder / NAME
        try:
            held = json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
            self._held: dict[str, list[str | None]] = {str(name): [*hashes] for name, hashes in held.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise Damaged from error

    def note(self, name: str, round_: int, text: str) -> None:
        """Write down a file's whole text after a round, later ones forgotten; OSError where that can't be done."""
        earlier = self._held.get(name, [])[:round_]
        self._held[name] = [*earlier, *[None] * (round_ - len(earlier)), _hash(text)]
        self._write()

    def agree(self, name: str, round_: int, text: str) -> bool:
        """Whether `text` is the file's up to `round_`, as far as that is known."""
        hashes = self._held.get(name)
        return hashes is None or (round_ < len(hashes) and hashes[round_] in (None, _hash(text)))

    def knows(self, name: str, round_: int) -> bool:
        """Whether there is a hash of the file at that round."""
        hashes = self._held.get(name, [])
        return round_ < len(hashes) and hashes[round_] is not None

    def complete(self, name: str, rounds: int) -> bool:
        """Whether a file of so many rounds has all that it must have; the last may be missing, as after a crash."""
        known = [round_ + 1 for round_, held in enumerate(self._held.get(name, [])[:-1]) if held is not None]
        return rounds >= max(known, default=0)

    def cut(self, name: str, rounds: int) -> None:
        """Forget the file's later rounds; OSError where that can't be written."""
        if name in self._held:
            self._held[name] = self._held[name][:rounds]
            self._write()

    def _write(self) -> None:
        replace_file(self._path, (json.dumps(self._held, indent=1) + "\n").encode())


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
