"""Every file of a run damaged at random: found or harmless, and the run goes on to the same rows, always."""

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from faults import times

from al_runner.errors import UsageError
from al_runner.labels import UNSURE
from al_runner.record.journal import NAME, Begun, Ended, read
from al_runner.record.run import RunRecord
from al_runner.record.views import RANKING, TABLES, VIEWS
from al_runner.types import ByClass

FILES = (NAME, *VIEWS)
CONFIG = {"seed": 0, "budget": {"query": 3}, "training": {"lr": 1e-05}, "name": ""}
ROUNDS = 5
METRICS = ("test_balanced_accuracy", "test_macro_f1", "test_brier", "test_ece", *RANKING)


def go_on(folder: Path, recover: bool = False) -> tuple[str, list[str]]:
    """A run without a net, to its end; what was said of damage, and what was done again."""
    record, done = RunRecord(folder, recover=recover), []
    record.require_settings(CONFIG)
    record.require_plan([3] * ROUNDS, "1f")
    said = record.settle()
    if len(record.rows) < ROUNDS:
        record.begin(CONFIG, {"data": "1f", "seed": 0})
    for round_ in range(len(record.rows), ROUNDS):
        ids, labels = torch.arange(3 * round_, 3 * round_ + 3), torch.tensor([round_, 0, 1])
        if record.bought(round_) is None:
            if round_:
                record.predicted(round_, ids, labels.flip(0), torch.tensor([0.25, 0.5, 1.0]))
            if round_ == 2:  # a person's
                if record.asked(round_) is None:
                    record.ask(round_, ids, 0.125, {"Z1/N": 1 / 7, "n": 3.0})
                if not record.answers:
                    record.answer({7: 0, 6: 2, 8: 1, 50: UNSURE}, {0: "a", 1: "b, c", 2: "7"})
            record.buy(round_, ids, labels, 0.125, {"Z1/N": 1 / (3 + round_)} if round_ else {})
            done.append(f"bought {round_}")
        shares = ["test_accuracy", "val_error", "train_error", "test_nll", "fit_seconds"]
        row = {**dict.fromkeys((*shares, *METRICS), 1 / (7 + round_)), "pool_images": 80, "test_images": 20}
        row |= {"labelled": 3 * round_ + 3, "test_error": 1 / (2 + round_), "steps": 64}
        confusion = torch.tensor([[4, round_, 0], [1, 6, 2], [0, 0, 7]])
        record.measure(round_, row, None, ByClass(confusion, round_ + 1 == ROUNDS))
        done.append(f"measured {round_}")
    record.end()
    return said, done


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert go_on(folder)[1] == [f"{done} {round_}" for round_ in range(ROUNDS) for done in ("bought", "measured")]
    assert {path.name for path in folder.iterdir()} == {*FILES}
    return folder


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here loses power."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def flipped(content: bytes, how: random.Random) -> bytes:
    place = how.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << how.randrange(8)]) + content[place + 1 :]


def cut_short(content: bytes, how: random.Random) -> bytes:
    return content[: how.randrange(len(content))]


def overwritten(content: bytes, how: random.Random) -> bytes:
    """A block of zeros or noise, as a disk leaves it."""
    start = how.randrange(len(content))
    size = min(how.randrange(1, 600), len(content) - start)
    return content[:start] + (bytes(size) if how.random() < 0.5 else how.randbytes(size)) + content[start + size :]


def rearranged(content: bytes, how: random.Random) -> bytes:
    """A line is missing, there twice, or has changed places with another."""
    lines = content.splitlines(keepends=True)
    one, other = how.randrange(len(lines)), how.randrange(len(lines))
    line = lines[one]
    kind = how.randrange(3)
    if kind == 0:
        del lines[one]
    elif kind == 1:
        lines.insert(other, line)
    else:
        lines[one], lines[other] = lines[other], line
    return b"".join(lines)


def damage(path: Path, how: random.Random) -> None:
    if how.random() < 0.05:
        path.unlink()
    else:
        kind = how.choice([flipped, flipped, cut_short, overwritten, rearranged])
        path.write_bytes(kind(path.read_bytes(), how))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if "damaged" not in path.name}


def longer(path: Path, whole: Path) -> bool:
    """Whether a file has all that it should have, and more."""
    held = path.read_bytes() if path.exists() else b""
    expected = (whole / path.name).read_bytes()
    return held.startswith(expected) and held != expected


def require_same(folder: Path, whole: Path) -> None:
    """The same rows to the byte, in files that need no mending; what began is told once more where it began again."""
    held, expected = contents(folder), contents(whole)
    for name in (*TABLES, "config.yaml"):
        assert held[name] == expected[name]
    assert {json.dumps(start) for start in json.loads(held["provenance.json"])} == {'{"data": "1f", "seed": 0}'}
    found = read(held[NAME])
    assert (found.damaged, found.text.encode(), type(found.events[-1])) == ([], held[NAME], Ended)
    assert go_on(folder) == ("", [])
    assert contents(folder) == held


@pytest.mark.parametrize("files", [1, 2])
def test_random_damage_is_found_or_harmless_and_always_mended(
    whole: Path, tmp_path: Path, record_property: Callable[[str, object], None], files: int
) -> None:
    how, outcomes, tried = random.Random(files), Counter[str](), times(200, 2000)
    for number in range(tried):
        folder = tmp_path / str(number)
        shutil.copytree(whole, folder)
        names = how.sample(FILES, files)
        for name in names:
            damage(folder / name, how)
        before = contents(folder)
        try:
            said, done = go_on(folder)
        except UsageError as error:
            assert "is damaged; restore it from a copy, go on after its last sound round with recover=true" in str(
                error
            )
            assert contents(folder) == before  # a refusal touches nothing
            assert NAME in names or any(longer(folder / name, whole) for name in names)
            said, done = go_on(folder, recover=True)
            assert "damaged and set aside" in said
            assert done == [] or "on are lost, and done again" in said or "does not have are ignored" in said
            outcomes["refused"] += 1
        else:
            if NAME not in names or files == 1:
                assert done == []  # nothing that is not said is done again
            outcomes["harmless"] += 1
        require_same(folder, whole)
        for name in names:  # what was there is kept, unless it only lacked its end
            held, kept = before.get(name, b""), [path.read_bytes() for path in folder.glob(f"{name}.damaged*")]
            lines = held.rpartition(b"\n")[0] if name == NAME else held  # what follows its last line was never recorded
            assert held in kept or contents(whole)[name].startswith(lines)
        shutil.rmtree(folder)
    assert outcomes["refused"] > 0.05 * tried  # one file in seven is the journal, whose torn end is harmless
    assert outcomes["harmless"] > 0.1 * tried
    told = f"{tried} tried, {tried} survived ({outcomes['refused']} refused first)"
    record_property(f"{files} of a run's files damaged at random", told)


def test_one_damaged_line_is_proven_by_the_next_and_told_by_the_tables(whole: Path, tmp_path: Path) -> None:
    """A flipped bit in the hash of a line, and one in the rest of it: no event is lost."""
    how, lines = random.Random(0), (whole / NAME).read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines[:-1]):
        for place in (how.randrange(10, 74), how.randrange(78, len(line) - 1)):
            folder = tmp_path / f"{number}-{place}"
            shutil.copytree(whole, folder)
            changed = line[:place] + bytes([line[place] ^ 1 << how.randrange(8)]) + line[place + 1 :]
            (folder / NAME).write_bytes(b"".join([*lines[:number], changed, *lines[number + 1 :]]))
            with pytest.raises(UsageError, match=rf"journal.jsonl: line {number + 1} is damaged"):
                go_on(folder)
            said = go_on(folder, recover=True)
            assert said == (f"journal.jsonl (line {number + 1}) damaged and set aside", [])
            assert contents(folder) == contents(whole)


def test_what_is_lost_is_said(whole: Path, tmp_path: Path) -> None:
    """The line of a purchase is damaged, and so is its table: the later events are cut, and their number is named."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    lines = (folder / NAME).read_text().splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if '"event": "bought", "round": 2' in line)
    lines[place] = lines[place].replace('"label": [2', '"label": [3')
    (folder / NAME).write_text("".join(lines))
    (folder / "acquired.csv").write_text((folder / "acquired.csv").read_text().replace("2,6,2", "2,6,3"))
    said, done = go_on(folder, recover=True)
    assert f"; {len(lines) - place} events from line {place + 1} on are lost, and done again" in said
    assert done == ["bought 2", "measured 2", "bought 3", "measured 3", "bought 4", "measured 4"]
    require_same(folder, whole)
    assert sum(isinstance(event, Begun) for event in read((folder / NAME).read_bytes()).events) == 2
