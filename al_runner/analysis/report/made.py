"""Images that were made during runs, from their journals: queries that a strategy made, twins, generated images.

N images of a row, C channels, H x W pixels.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from al_runner.record.journal import NAME, Bought, Made, read
from al_runner.record.pixels import unpacked

MOST_ROWS = 30  # of a run's sheet: evenly spaced rounds where there are more
UNDECIDED = 3  # pixels of the bar below a query that the oracle could not tell


class Row(NamedTuple):
    """Images of one name and round."""

    round: int
    name: str
    images: NDArray[np.uint8]  # [N, C, H, W]
    undecided: Sequence[int] = ()  # places of those that the oracle could not tell


class MadeSheet(NamedTuple):
    """All that is shown of a run's images."""

    uri: str  # a PNG, a row below the other
    caption: str


def made_rows(folder: Path) -> list[Row]:
    """The rows of a run, by round; only of purchases that were made, the last of a name where there are several."""
    journal = folder / NAME
    rows: dict[tuple[int, str], Row] = {}
    bought: dict[int, Bought] = {}
    for event in read(journal.read_bytes()).events if journal.is_file() else ():
        if isinstance(event, Made):
            rows[event.round, event.name] = Row(event.round, event.name, unpacked(event))
        elif isinstance(event, Bought):
            bought[event.round] = event
    return [
        row._replace(undecided=_undecided(bought[row.round])) if row.name == "query" else row
        for row in sorted(rows.values(), key=lambda row: row.round)
        if row.round in bought
    ]


def _undecided(event: Bought) -> list[int]:
    return [place for place, label in enumerate(event.label) if label < 0]


def made_sheet(folder: Path) -> MadeSheet | None:
    """A run's images as one picture and what its rows are; None where nothing was made."""
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
    each = f"rows of each: {', '.join(names)}" if len(names) > 1 else f"a row each: {names[0]}"
    marked = (
        "; a white bar below an image that the oracle could not tell" if any(row.undecided for row in shown) else ""
    )
    return MadeSheet(data_uri(sheet(shown)), f"{counted}, from round {kept[0]} down to {kept[-1]}, {each}{marked}")


def sheet(rows: Iterable[Row]) -> NDArray[np.uint8]:
    """The rows below each other, [H, W] or [H, W, 3]; what is not covered is dark grey."""
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


def data_uri(image: NDArray[np.uint8]) -> str:
    """A picture, twice its size, as an address that holds it all."""
    stream = BytesIO()
    picture = Image.fromarray(image)
    picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST).save(stream, "png", optimize=True)
    return f"data:image/png;base64,{b64encode(stream.getvalue()).decode()}"


def made_sheets(directory: Path, titles: Mapping[str, str]) -> list[tuple[str, MadeSheet]]:
    """The sheets of the runs, by folder and title, that have one."""
    found = [(title, made_sheet(directory / folder)) for folder, title in titles.items()]
    return [(title, made) for title, made in found if made is not None]
