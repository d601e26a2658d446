"""Images that were made during runs, from their journals: queries that a strategy made, twins, generated images.

N images in a row, C channels, H x W pixels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from al_runner.analysis.report.images import data_uri
from al_runner.errors import UsageError
from al_runner.record.journal import NAME, Bought, Made, read
from al_runner.record.pixels import unpacked
from al_runner.system.foreign import content, unreadable

MOST_ROWS = 30  # the most rows of a sheet; if there are more, evenly spaced rounds are shown
MOST_JOURNAL, MOST_PIXELS = 2**28, 2**24  # the most bytes of a journal, and of the images in one row
UNDECIDED = 3  # height in pixels of the bar below an image that the oracle could not label


class Row(NamedTuple):
    """The images of one name and round."""

    round: int
    name: str
    images: NDArray[np.uint8]  # [N, C, H, W]
    undecided: Sequence[int] = ()  # positions of the images that the oracle could not label


class MadeSheet(NamedTuple):
    """The picture of a run's made images, and its caption."""

    uri: str  # a data: URL of a PNG, one row below another; "" if it can't be drawn
    caption: str


def made_rows(folder: Path) -> list[Row]:
    """The rows of a run in order of rounds, for every purchase. Of two events of one round and name, the last counts.

    The journal may come from a stranger. Raises Unreadable if it, or its images, have another form than al-run's.
    """
    try:
        events = read(content(folder / NAME, MOST_JOURNAL)).events
    except FileNotFoundError:
        return []
    made = {(event.round, event.name): event for event in events if isinstance(event, Made)}
    bought = {event.round: event for event in events if isinstance(event, Bought)}
    try:
        return [_row(made[key], bought[key[0]]) for key in sorted(made) if key[0] in bought]
    except Exception as error:  # fields of any type, and pixels of any kind
        raise unreadable(folder / NAME, f"images that were made are damaged: {error}") from error


def _row(made: Made, bought: Bought) -> Row:
    undecided = [place for place, label in enumerate(bought.label) if label < 0] if made.name == "query" else []
    return Row(made.round, made.name, unpacked(made, MOST_PIXELS), undecided)


def made_sheet(folder: Path) -> MadeSheet | None:
    """A run's made images as one picture; None if there are none. Raises Unreadable as `made_rows`."""
    rows = made_rows(folder)
    if not rows:
        return None
    rounds = sorted({row.round for row in rows})
    names = list(dict.fromkeys(row.name for row in rows))
    places = np.linspace(0, len(rounds) - 1, min(len(rounds), max(1, MOST_ROWS // len(names))))
    kept = [rounds[place] for place in places.round().astype(int)]
    shown = [row for row in rows if row.round in kept]
    of = f"{len(kept)} of " if len(kept) < len(rounds) else ""
    counted = f"{of}{len(rounds)} round{'s' if len(rounds) > 1 else ''}"
    each = f"rows of each: {', '.join(names)}" if len(names) > 1 else f"one row of each: {names[0]}"
    marked = (
        "; a white bar is below an image that the oracle could not label" if any(row.undecided for row in shown) else ""
    )
    try:
        picture = data_uri(doubled(sheet(shown)))
    except Exception as error:  # rows that do not fit together, or are no colours
        raise unreadable(folder / NAME, f"images that were made can't be drawn: {error}") from error
    return MadeSheet(picture, f"{counted}, from round {kept[0]} down to {kept[-1]}, {each}{marked}")


def sheet(rows: Iterable[Row]) -> NDArray[np.uint8]:
    """The rows, one below another, uint8 [H, W] or [H, W, 3], on dark grey."""
    strips = list(_strips(rows))
    width = max(strip.shape[1] for strip in strips)
    grey = [np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), constant_values=40) for strip in strips]
    whole = np.concatenate(grey)
    return whole[:, :, 0] if whole.shape[2] == 1 else whole


def _strips(rows: Iterable[Row]) -> Iterator[NDArray[np.uint8]]:
    for row in rows:
        count, channels, height, width = row.images.shape
        strip = np.full((height + UNDECIDED, count * (width + 1), channels), 40, dtype=np.uint8)
        for place, image in enumerate(row.images):
            left = place * (width + 1)
            strip[:height, left : left + width] = image.transpose(1, 2, 0)
            if place in row.undecided:
                strip[height + 1 :, left : left + width] = 255
        yield strip


def doubled(image: NDArray[np.uint8]) -> Image.Image:
    """The picture at twice its size."""
    picture = Image.fromarray(image)
    return picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)


def made_sheets(directory: Path, titles: Mapping[str, str]) -> list[tuple[str, MadeSheet]]:
    """The title and sheet of every run that has one; `titles` are by folder. A damaged run has a caption only."""
    sheets = []
    for folder, title in titles.items():
        try:
            made = made_sheet(directory / folder)
        except UsageError as error:  # of a stranger's folder: the page goes on without it, and says so
            made = MadeSheet("", str(error))
        if made is not None:
            sheets.append((title, made))
    return sheets
