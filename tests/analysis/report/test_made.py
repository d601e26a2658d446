"""Sheets of the images that were made in a run, pixel by pixel, from a journal."""

import tracemalloc
from base64 import b64decode, b64encode
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from zlib import compress

import numpy as np
import pytest
import torch
from PIL import Image

from al_runner.analysis.report.made import made_rows, made_sheet, made_sheets, sheet
from al_runner.record.journal import NAME, Journal, Made, read
from al_runner.record.run import RunRecord
from al_runner.system.foreign import Unreadable


def images(first: int, count: int = 3, channels: int = 1) -> torch.Tensor:
    """Each of one value of its own."""
    values = torch.arange(first, first + count, dtype=torch.uint8)
    return values[:, None, None, None].expand(count, channels, 4, 5).contiguous()


def journal(folder: Path, rounds: int = 3) -> None:
    record = RunRecord(folder)
    record.settle()
    record.begin({"seed": 0}, {"data": "1f"})
    record.buy(0, torch.tensor([1, 2]), torch.tensor([0, 1]), 0.0, {})
    for round_ in range(1, rounds):
        ids = torch.arange(100 * round_, 100 * round_ + 3)
        record.made(round_, "query", ids, images(0))  # of a choice that was lost before its purchase
        record.made(round_, "query", ids, images(10 * round_))
        record.made(round_, "twins", ids, images(10 * round_ + 5))
        record.buy(round_, ids, torch.tensor([0, -1, 1]), 0.0, {})
    record.made(rounds, "query", torch.arange(3), images(200))  # whose purchase was not made


def test_the_rows_are_those_of_purchases_and_tell_the_undecided(tmp_path: Path) -> None:
    journal(tmp_path)
    rows = made_rows(tmp_path)
    assert [(row.round, row.name, list(row.undecided)) for row in rows] == [
        (1, "query", [1]),
        (1, "twins", []),
        (2, "query", [1]),
        (2, "twins", []),
    ]
    assert [row.images[:, 0, 0, 0].tolist() for row in rows] == [[10, 11, 12], [15, 16, 17], [20, 21, 22], [25, 26, 27]]


def test_a_sheet_has_the_images_in_their_places_and_a_bar_below_the_undecided(tmp_path: Path) -> None:
    journal(tmp_path)
    picture = sheet(made_rows(tmp_path))
    assert picture.shape == (4 * (4 + 3), 3 * (5 + 1))
    assert np.unique(picture[0:4, 6:11]).tolist() == [11]
    assert np.unique(picture[14:18, 12:17]).tolist() == [22]
    assert picture[5:7, 6:11].min() == 255 and picture[5:7, 0:5].max() == 40
    assert np.unique(picture[4]).tolist() == [40] and np.unique(picture[:, 5]).tolist() == [40]
    found = made_sheet(tmp_path)
    assert found is not None
    rows = "2 rounds, from round 1 down to 2, rows of each: query, twins"
    assert found.caption == f"{rows}; a white bar is below an image that the oracle could not label"
    drawn = np.asarray(Image.open(BytesIO(b64decode(found.uri.partition(",")[2]))))
    assert np.array_equal(drawn[::2, ::2], picture)


def test_long_runs_show_evenly_spaced_rounds_and_runs_without_such_images_nothing(tmp_path: Path) -> None:
    journal(tmp_path / "long", rounds=41)
    found = made_sheet(tmp_path / "long")
    assert found is not None and found.caption.startswith("15 of 40 rounds, from round 1 down to 40")
    record = RunRecord(tmp_path / "plain")
    record.settle()
    record.begin({"seed": 0}, {"data": "1f"})
    assert made_sheet(tmp_path / "plain") is None
    assert made_sheet(tmp_path / "nowhere") is None


def test_colours_stay(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    record.settle()
    record.begin({"seed": 0}, {"data": "1f"})
    record.made(1, "query", torch.tensor([7]), torch.arange(60, dtype=torch.uint8).view(1, 3, 4, 5))
    record.buy(1, torch.tensor([7]), torch.tensor([0]), 0.0, {})
    picture = sheet(made_rows(tmp_path))
    assert (
        picture.shape == (7, 6, 3) and picture[0, 0].tolist() == [0, 20, 40] and picture[3, 4].tolist() == [19, 39, 59]
    )


def stranger(folder: Path, **changes: object) -> Path:
    """A journal, sound by its hashes, whose event of made images holds what al-run never writes."""
    journal(folder, rounds=2)
    events = read((folder / NAME).read_bytes()).events
    (folder / NAME).unlink()
    record = Journal(folder / NAME, "")
    for event in events:
        record.append(event._replace(**changes) if isinstance(event, Made) else event)
    return folder


STRANGE: dict[str, tuple[dict[str, object], str | None]] = {
    "large": ({"shape": [1, 4096, 4096]}, "bytes; it must be 1 to"),
    "negative": ({"shape": [1, -4, -5]}, "damaged"),
    "shape of words": ({"shape": ["x"]}, "damaged"),
    "no shape": ({"shape": []}, "damaged"),
    "no base64": ({"pixels": "!"}, "damaged"),
    "a bomb": ({"pixels": b64encode(compress(bytes(10**8))).decode()}, None),  # as much as the shape says is unpacked
    "nothing": ({"pixels": b64encode(compress(b"")).decode()}, "damaged"),
    "ids of a number": ({"id": 5}, "damaged"),
    "five colours": ({"shape": [5, 4, 1]}, "drawn"),
    "round of a word": ({"round": "x"}, None),  # no such purchase was made
    "name of a number": ({"name": 3}, None),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_stranger_s_images_are_read_within_limits_or_named(tmp_path: Path, kind: str) -> None:
    changes, words = STRANGE[kind]
    folder = stranger(tmp_path, **changes)
    tracemalloc.start()
    try:
        with nullcontext() if words is None else pytest.raises(Unreadable, match=f"journal.jsonl.*{words}"):
            made_sheet(folder)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_a_journal_that_is_a_link_is_named_and_the_page_goes_on(tmp_path: Path) -> None:
    journal(tmp_path / "sound")
    journal(tmp_path / "outside")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / NAME).symlink_to(tmp_path / "outside" / NAME)
    with pytest.raises(Unreadable, match="it is a link"):
        made_rows(tmp_path / "linked")
    (sound, named) = made_sheets(tmp_path, {"sound": "a", "linked": "b"})
    assert sound[1].uri.startswith("data:image/png")
    assert (named[0], named[1].uri, "it is a link" in named[1].caption) == ("b", "", True)
