"""Images that a strategy made, in a run's folder."""

import csv
import json
from pathlib import Path

import pytest
import torch
from recorded import untimed
from test_gaal import experiment

from al_runner.engine.drive import drive
from al_runner.record.journal import NAME, Made, read
from al_runner.record.pixels import packed, unpacked
from al_runner.record.run import RunRecord

CONFIG, PLAN = {"seed": 0}, [6, 5, 5, 5, 5]


def run(path: Path) -> None:
    record = RunRecord(path)
    record.require_settings(CONFIG)
    record.require_plan(PLAN, "1f")
    record.settle()
    record.begin(CONFIG, {"data": "1f"})
    drive(experiment().run(record))
    record.end()


def test_images_come_back_as_they_were() -> None:
    images = torch.randint(0, 256, (3, 2, 4, 5), dtype=torch.uint8)
    event = Made(1, "query", [7, 8, 9], [2, 4, 5], packed(images.numpy()))
    assert torch.equal(torch.from_numpy(unpacked(json.loads(json.dumps(event)) and event)), images)


def test_no_more_is_unpacked_than_the_images_can_have() -> None:
    """A few bytes of zlib may stand for gigabytes."""
    many = packed(torch.zeros(50, 1, 100, 100, dtype=torch.uint8).numpy())
    assert unpacked(Made(1, "query", [7], [1, 2, 3], many)).size == 6
    for ids, shape, most in (([7], [1, 0, 3], None), ([], [1, 2, 3], None), ([7, 8], [1, 2, 3], 11)):
        with pytest.raises(ValueError, match="it must be 1 to"):
            unpacked(Made(1, "query", ids, shape, many), most)
    assert unpacked(Made(1, "query", [7, 8], [1, 2, 3], many), 12).shape == (2, 1, 2, 3)


def test_images_that_were_made_after_others_are_not_taken_for_the_query(tmp_path: Path) -> None:
    images = torch.arange(12, dtype=torch.uint8).view(2, 1, 2, 3)
    record = RunRecord(tmp_path)
    record.settle()
    record.begin(CONFIG, {"data": "1f"})
    record.made(1, "query", torch.tensor([160, 161]), images)
    record.made(1, "adversarial", torch.tensor([160, 161]), 200 - images)
    for held in (record, RunRecord(tmp_path)):
        found = held.queried(1)
        assert found is not None
        assert torch.equal(found, images)
        assert held.queried(2) is None


def test_a_folder_holds_them_with_their_ids_and_no_label_of_an_undecided_one(tmp_path: Path) -> None:
    run(tmp_path)
    made = [event for event in read((tmp_path / NAME).read_bytes()).events if isinstance(event, Made)]
    assert [event.id for event in made] == [[*range(160 + 5 * k, 165 + 5 * k)] for k in range(4)]
    assert all(unpacked(event).shape == (5, 1, 6, 6) for event in made)
    bought = list(csv.DictReader((tmp_path / "acquired.csv").open()))
    assert {row["label"] for row in bought} == {"0", "1"} and len(bought) == 6 + 4 * 4
    assert "162" not in {row["id"] for row in bought}  # the third of five
    rows = list(csv.DictReader((tmp_path / "rounds.csv").open()))
    assert {row["classes"] for row in rows} == {"2"}
    facts = list(csv.DictReader((tmp_path / "queries.csv").open()))
    assert [row["value"] for row in facts if row["name"] == "undecided"] == ["1.0"] * 4


@pytest.mark.parametrize("kept", range(3, 15, 2))
def test_a_run_that_was_cut_anywhere_goes_on_to_the_same_images(tmp_path: Path, kept: int) -> None:
    run(tmp_path / "whole")
    (tmp_path / "cut").mkdir()
    lines = (tmp_path / "whole" / NAME).read_text().splitlines(keepends=True)
    (tmp_path / "cut" / NAME).write_text("".join(lines[:kept]))
    run(tmp_path / "cut")
    whole, cut = (tmp_path / name for name in ("whole", "cut"))
    assert untimed(cut) == untimed(whole)
    assert (cut / "acquired.csv").read_bytes() == (whole / "acquired.csv").read_bytes()
    images = []
    for folder in (whole, cut):
        events = [event for event in read((folder / NAME).read_bytes()).events if isinstance(event, Made)]
        images.append({event.round: event.pixels for event in events})
    assert images[0] == images[1]
