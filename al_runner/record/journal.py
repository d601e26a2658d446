"""A run's journal: one line for each event, with a hash of the line itself and of the line before it.

A line is {"hash": H, "event": ...}. H is the SHA-256 of the hash before it and of the line without H. So a line that
was changed, removed, doubled or moved is found. If only H is damaged, the hash of the next line proves the rest.
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from al_runner.errors import UsageError
from al_runner.system.atomic import append_file

NAME = "journal.jsonl"
HASH = slice(10, 74)  # where a line has its hash
BODY = slice(77, None)


class Begun(NamedTuple):
    """A process started the run, or went on with it."""

    config: dict[str, Any]
    start: dict[str, Any]  # when, where, with what code and on what data


class Made(NamedTuple):
    """Images that were made for the next purchase. Of each name, the last event before a purchase counts.

    Images named "query" are themselves bought, and `id` gives them their ids. Images of another name were made after
    images that are bought, and `id` names those.
    """

    round: int
    name: str
    id: list[int]
    shape: list[int]  # of one image, [C, H, W]
    pixels: str  # of all images, one after another: uint8, compressed by zlib and in base64


class Predicted(NamedTuple):
    """The model's predictions for the images of the next purchase; the last event before a purchase counts."""

    round: int
    id: list[int]
    prediction: list[int]
    confidence: list[float]


class Asked(NamedTuple):
    """Images were chosen for the next purchase, and a person is asked for their labels."""

    round: int
    id: list[int]
    seconds: float  # that the choice took
    facts: dict[str, float]  # numbers that the strategy reported about its choice


class Answered(NamedTuple):
    """A person gave labels of images that were asked for, or of validation and test images."""

    answer: int  # the number of this event's kind, from 0
    id: list[int]
    label: list[int]  # UNSURE if the person couldn't tell
    name: list[str]  # the name of the label's class, "" for UNSURE
    file: list[str] | None = None  # as in `Bought`


class Bought(NamedTuple):
    """Images were chosen and labelled."""

    round: int
    id: list[int]
    label: list[int]
    seconds: float  # that the choice took
    facts: dict[str, float]  # numbers that the strategy reported about its choice
    file: list[str] | None = None  # the file of each image; None if the images came as arrays


class Measured(NamedTuple):
    """A model was trained and tested."""

    round: int
    row: dict[str, Any]  # by the columns of rounds.csv
    images: list[int] | None = None  # test images by class; None if an older version measured
    wrong: list[int] | None = None  # how many of them are predicted wrongly
    confused: list[list[int]] | None = None  # class, prediction and images: the cells of the matrix that are not 0


class Ended(NamedTuple):
    """Every planned round is measured, or a stopping rule has ended the run."""

    rounds: int
    rule: str | None = None  # the rule that ended it


Event = Begun | Made | Predicted | Asked | Answered | Bought | Measured | Ended
KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind for kind in (Begun, Made, Predicted, Asked, Answered, Bought, Measured, Ended)
}


class SoundStart(NamedTuple):
    """The sound beginning of a journal."""

    events: list[Event]
    text: str  # the correct lines of these events
    damaged: list[int]  # numbers of the lines that are not correct; the first line is 1
    cut: int  # how many lines are dropped: the first line that can't be proven, and all after it


def read(content: bytes, copies: Sequence[str] = ()) -> SoundStart:
    """The events before the first line that can't be proven. A last line without its end counts as never recorded.

    `copies` are lines without their hashes that may replace damaged ones. A copy is taken only if a hash proves it.
    Raises UsageError if another version of al-runner wrote an event.
    """
    lines = content.decode("ascii", "replace").split("\n")[:-1]
    events: list[Event] = []
    sound: list[str] = []
    damaged, before = [], ""
    for number, (line, after) in enumerate(zip(lines, [*lines, ""][1:], strict=True), start=1):
        bodies = ("{" + line[BODY], *copies)
        body = next((body for body in bodies if _proven(before, body, line, after)), None)
        if body is None:
            damaged.append(number)
            break
        sound.append(_line(before, body))
        if sound[-1] != line:
            damaged.append(number)
        events.append(_event(body))
        before = _hash(before, body)
    return SoundStart(events, "".join(f"{line}\n" for line in sound), damaged, len(lines) - len(sound))


class Journal:
    """Adds events at the end of a journal that holds `text`."""

    def __init__(self, path: Path, text: str):
        self._path, self._size = path, len(text)
        self._before = text.splitlines()[-1][HASH] if text else ""

    def append(self, event: Event) -> None:
        """Add one line and force it to disk. Raises OSError if that fails; then nothing is added."""
        body = body_of(event)
        line = _line(self._before, body) + "\n"
        append_file(self._path, line.encode(), self._size)
        self._size, self._before = self._size + len(line), _hash(self._before, body)


def body_of(event: Event) -> str:
    """An event's line without its hash."""
    return json.dumps({"event": type(event).__name__.lower(), **event._asdict()})


def _event(body: str) -> Event:
    fields = json.loads(body)
    try:
        return KINDS[fields.pop("event")](**fields)
    except (KeyError, TypeError) as error:
        raise UsageError(f"another version of al-runner wrote this {NAME} ({error}); go on with that one") from error


def _line(before: str, body: str) -> str:
    return f'{{"hash": "{_hash(before, body)}", {body[1:]}'


def _hash(before: str, body: str) -> str:
    return sha256(f"{before}{body}".encode()).hexdigest()


def _proven(before: str, body: str, line: str, after: str) -> bool:
    """Whether the hash of its own line, or of the line after it, shows that the event is unchanged."""
    own = _hash(before, body)
    return own == line[HASH] or (after != "" and _hash(own, "{" + after[BODY]) == after[HASH])
