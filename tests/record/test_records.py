import csv
import json
import math
import os
import resource
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import toy
from recorded import Stop, stop_after, untimed

from al_runner.engine.drive import drive
from al_runner.errors import UsageError
from al_runner.pool import Pool
from al_runner.record.journal import NAME, Begun, Bought, Ended, Event, Measured, Predicted, read
from al_runner.record.provenance import fingerprint, older_fingerprint, provenance
from al_runner.record.run import RunRecord, discard
from al_runner.record.views import COLUMNS, RANKING, STOPPING
from al_runner.rng import Streams
from al_runner.strategies.choice import Choice
from al_runner.strategies.kfac_vfe import KfacVfe
from al_runner.strategies.random import Random
from al_runner.system.claim import Claim, Holder, Taken
from al_runner.types import DataSet, Fitted

CONFIG = {"seed": 0, "strategy": {"gamma": 0.0}}
PLAN = [6, 5, 5, 5, 5]  # of toy.experiment


def opened(
    path: Path, config: dict = CONFIG, plan: Sequence[int] = PLAN, data: str = "1f", **options: Any
) -> RunRecord:
    """The run of a folder as a process of its own takes it up."""
    record = RunRecord(path, **options)
    record.require_settings(config)
    record.require_plan(plan, data)
    record.settle()
    record.begin(config, {"data": data})
    return record


def rows(path: Path, name: str = "rounds.csv") -> list[dict[str, str]]:
    return list(csv.DictReader((path / name).open()))


def run(path: Path) -> None:
    record = opened(path)
    drive(toy.experiment(KfacVfe()).run(record))
    record.end()


def test_a_run_leaves_its_rows(tmp_path: Path) -> None:
    memory = toy.Memory()
    drive(toy.experiment(KfacVfe()).run(memory))
    run(tmp_path)
    assert tuple(rows(tmp_path)[0]) == COLUMNS
    assert [int(row["round"]) for row in rows(tmp_path)] == [0, 1, 2, 3, 4]
    for row, expected in zip(rows(tmp_path), memory.rows, strict=True):
        assert all(float(row[key]) == value for key, value in expected.items() if not key.endswith("seconds"))
        assert float(row["fit_seconds"]) > 0
        assert float(row["select_seconds"]) > 0
    bought = torch.cat(memory.ids).tolist()
    labels = toy.data_set().labels[bought].tolist()
    acquired = rows(tmp_path, "acquired.csv")
    assert [(int(row["id"]), int(row["label"])) for row in acquired] == list(zip(bought, labels, strict=True))
    assert [int(row["round"]) for row in acquired] == [0] * 6 + [1] * 5 + [2] * 5 + [3] * 5 + [4] * 5


def test_the_classes_found_so_far_are_counted(tmp_path: Path) -> None:
    """Also where a new process goes on."""
    labels = [[2, 2], [2], [0, 2], [1]]
    measured = dict.fromkeys(COLUMNS, 0.0)
    plan = [2, 1, 2, 1]
    record = opened(tmp_path, plan=plan)
    for round_, bought in enumerate(labels):
        if round_ == 3:
            record = opened(tmp_path, plan=plan)
        record.buy(round_, torch.arange(len(bought)) + 2 * round_, torch.tensor(bought), 0.1, {})
        record.measure(round_, measured, None)
    assert [row["classes"] for row in rows(tmp_path)] == ["1", "1", "2", "3"]
    assert [row["energy_joules"] for row in rows(tmp_path)] == [""] * 4


def test_the_running_minimum_is_a_column_of_its_own(tmp_path: Path) -> None:
    record = opened(tmp_path)
    measured = dict.fromkeys(COLUMNS, 0.0)
    for round_, error in enumerate([0.5, 0.3, 0.4]):
        record.buy(round_, torch.tensor([round_]), torch.tensor([0]), 0.1, {})
        record.measure(round_, {**measured, "labelled": round_ + 1, "test_error": error}, None)
    assert [float(row["test_error"]) for row in rows(tmp_path)] == [0.5, 0.3, 0.4]
    assert [float(row["best_test_error"]) for row in rows(tmp_path)] == [0.5, 0.3, 0.3]


@pytest.mark.parametrize("stop_at", range(1, 14))
def test_resuming_from_any_write_gives_the_rows_of_a_run_never_interrupted(tmp_path: Path, stop_at: int) -> None:
    """Five rounds write fourteen times; stop after each write in turn, then run the same command again."""
    run(tmp_path / "whole")
    record = opened(tmp_path / "part")
    stop_after(record, stop_at)
    with pytest.raises(Stop):
        drive(toy.experiment(KfacVfe()).run(record))
    run(tmp_path / "part")
    assert untimed(tmp_path / "part") == untimed(tmp_path / "whole")
    for name in ("acquired.csv", "predicted.csv"):
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert all(float(row["select_seconds"]) > 0 for row in rows(tmp_path / "part"))


def events(path: Path) -> list[Event]:
    return read((path / NAME).read_bytes()).events


def test_the_journal_has_every_event_in_order(tmp_path: Path) -> None:
    run(tmp_path)
    held = events(tmp_path)
    later = [Predicted, Bought, Measured] * 4
    assert [type(event) for event in held] == [Begun, Bought, Measured, *later, Ended]
    assert held[0] == Begun(CONFIG, {"data": "1f"})
    assert held[-1] == Ended(rounds=5)
    opened(tmp_path)
    assert [type(event) for event in events(tmp_path)[len(held) :]] == [Begun]


def test_a_run_of_an_older_version_goes_on_with_the_columns_it_has(tmp_path: Path) -> None:
    """Its files are whole: nothing is set aside, its rows stay, and the new rounds are recorded beside them."""
    shutil.copytree(Path(__file__).parent / "before_metrics", tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "rounds.csv").read_text()
    record = RunRecord(tmp_path)
    record.require_settings(CONFIG)
    record.require_plan(PLAN, "1f")
    assert record.settle() == ""
    record.begin(CONFIG, {"data": "1f"})
    drive(toy.experiment(KfacVfe()).run(record))
    record.end()
    after = (tmp_path / "rounds.csv").read_text()
    assert after.startswith(before)
    assert [int(row["round"]) for row in rows(tmp_path)] == [0, 1, 2, 3, 4]
    assert "test_brier" not in rows(tmp_path)[0]
    assert {int(row["round"]) for row in rows(tmp_path, "classes.csv")} == {2, 3, 4}
    assert not list(tmp_path.glob("*damaged*"))
    lines = (tmp_path / NAME).read_bytes().splitlines(keepends=True)
    (tmp_path / NAME).write_bytes(b"".join(line.replace(b'"steps"', b'"stops"') for line in lines))
    assert "damaged" in RunRecord(tmp_path, recover=True).settle()  # the tables hold every row, old ones and new ones
    assert (tmp_path / NAME).read_bytes() == b"".join(lines)


def test_errors_by_class_and_the_last_confusion_matrix(tmp_path: Path) -> None:
    run(tmp_path)
    memory = toy.Memory()
    drive(toy.experiment(KfacVfe()).run(memory))
    recorded = rows(tmp_path, "classes.csv")
    assert len(recorded) == 5 * 3
    for row in recorded:
        confusion = memory.by_class[int(row["round"])].confusion
        images, right = int(confusion[int(row["class"])].sum()), int(confusion[int(row["class"]), int(row["class"])])
        assert (int(row["images"]), int(row["wrong"])) == (images, images - right)
        assert float(row["error"]) == (images - right) / images
    matrix = torch.zeros_like(confusion)
    for row in rows(tmp_path, "confusion.csv"):
        assert row["round"] == "4"
        matrix[int(row["class"]), int(row["prediction"])] = int(row["images"])
    assert torch.equal(matrix, memory.by_class[-1].confusion)
    discard(tmp_path)
    assert not list(tmp_path.glob("c*.csv"))


def test_a_finished_run_is_not_done_again(tmp_path: Path) -> None:
    run(tmp_path)
    before = (tmp_path / "rounds.csv").read_bytes()
    run(tmp_path)
    assert (tmp_path / "rounds.csv").read_bytes() == before


def test_another_configuration_is_refused_with_the_difference(tmp_path: Path) -> None:
    run(tmp_path)
    before = (tmp_path / "rounds.csv").read_bytes()
    other = {"seed": 0, "strategy": {"gamma": 1.0}}
    with pytest.raises(UsageError, match=r"strategy.gamma: 0.0 there, 1.0 asked.*overwrite=true"):
        opened(tmp_path, other)
    with pytest.raises(UsageError, match=r"budget.query: None there, 3 asked"):
        opened(tmp_path, {**CONFIG, "budget": {"query": 3}})
    assert (tmp_path / "rounds.csv").read_bytes() == before
    discard(tmp_path)
    assert opened(tmp_path, other).rows == []
    assert not (tmp_path / "acquired.csv").exists()


def test_a_longer_budget_continues_a_run(tmp_path: Path) -> None:
    """Stopped after two queries, then asked for four: the rows of a run that was asked for four at once."""
    run(tmp_path / "whole")
    asked = toy.experiment(KfacVfe())
    for rounds in (2, 4):
        part = replace(asked, budget=replace(asked.budget, max_rounds=rounds))
        config = {**CONFIG, "budget": {"max_rounds": rounds}}
        drive(part.run(opened(tmp_path / "part", config, part.purchases)))
    assert untimed(tmp_path / "part") == untimed(tmp_path / "whole")
    assert rows(tmp_path / "part", "acquired.csv") == rows(tmp_path / "whole", "acquired.csv")
    assert "max_rounds: 4" in (tmp_path / "part" / "config.yaml").read_text()


@pytest.mark.parametrize("plan", [[6, 5, 5], [6, 5, 5, 5], [6, 5, 5, 5, 2], [6, 5, 5, 5, 6], []])
def test_a_run_is_neither_cut_nor_continued_from_a_query_of_another_size(tmp_path: Path, plan: list[int]) -> None:
    run(tmp_path)
    before = (tmp_path / "config.yaml").read_bytes()
    with pytest.raises(UsageError, match=r"holds purchases of 6, 4 times 5.*name=.*overwrite=true"):
        opened(tmp_path, {**CONFIG, "budget": {"max_rounds": 2}}, plan)
    assert (tmp_path / "config.yaml").read_bytes() == before


def test_a_purchase_that_an_earlier_budget_cut_is_named(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(UsageError, match=r"must stay the same \(its budget cut the last one from 7 to 5\); give this"):
        opened(tmp_path, {**CONFIG, "budget": {"max_rounds": 8}}, [6, 5, 5, 5, 7, 7])
    for plan in ([6, 5, 5, 7, 7, 7], [6, 5, 5, 5, 3, 7]):  # another purchase differs, too; none was cut
        with pytest.raises(UsageError, match="must stay the same; give this"):
            opened(tmp_path, {**CONFIG, "budget": {"max_rounds": 8}}, plan)


DAMAGES = [
    lambda text: text[: len(text) // 2],
    lambda text: text.replace("round", "r0und", 1),
    lambda text: text.replace(",", ";"),
    lambda text: text.replace("\n1,", "\nx,", 1),
    lambda text: "\n".join(text.split("\n")[:2] + text.split("\n")[3:]),
    lambda text: "",
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", [NAME, "rounds.csv", "acquired.csv"])
def test_damaged_records_are_never_continued(tmp_path: Path, name: str, damage) -> None:  # type: ignore[no-untyped-def]
    """A journal is refused; a table is written anew, and what it held is kept unless only its end was missing."""
    run(tmp_path)
    file = tmp_path / name
    before = file.read_text()
    damaged = damage(before)
    file.write_text(damaged)
    if name == NAME and damaged != before:
        with pytest.raises(UsageError, match=r"journal.jsonl.* is damaged; restore it.*recover=true.*overwrite=true"):
            opened(tmp_path)
        assert file.read_text() == damaged
    else:
        opened(tmp_path)
        assert file.read_text().startswith(before)
        kept = [path.read_text() for path in tmp_path.glob("*.damaged1")]
        assert kept == ([] if before.startswith(damaged) else [damaged])


def test_images_or_labels_that_changed_are_noticed(tmp_path: Path) -> None:
    data = toy.data_set()
    record = opened(tmp_path, data=fingerprint(data))
    drive(toy.experiment().run(record))
    before = (tmp_path / NAME).read_bytes()
    opened(tmp_path, data=fingerprint(toy.data_set()))
    assert (tmp_path / NAME).read_bytes().startswith(before)
    labels, images = data.labels.clone(), data.images.clone()
    labels[int(rows(tmp_path, "acquired.csv")[3]["id"])] += 1
    images[-1] += 1
    others = [replace(data, labels=labels), replace(data, labels=data.labels[:10]), replace(data, images=images)]
    for other in others:
        with pytest.raises(UsageError, match=r"other images or labels; restore them"):
            opened(tmp_path, data=fingerprint(other))


def test_every_image_counts_and_a_run_of_an_older_version_goes_on(tmp_path: Path) -> None:
    """Older versions had a fingerprint of 1,000 images."""
    data = toy.data_set()
    many = replace(data, images=data.images.repeat(40, 1, 1, 1), labels=data.labels.repeat(40))
    changed = replace(many, images=many.images.clone())
    changed.images[1] += 1
    assert older_fingerprint(changed) == older_fingerprint(many)
    assert fingerprint(changed) != fingerprint(many)
    drive(toy.experiment().run(opened(tmp_path, data=older_fingerprint(data))))
    RunRecord(tmp_path).require_plan(PLAN, fingerprint(data), older_fingerprint(data))
    with pytest.raises(UsageError, match="other images or labels"):
        RunRecord(tmp_path).require_plan(PLAN, fingerprint(many), older_fingerprint(many))


def test_where_the_data_lies_is_not_what_a_run_is(tmp_path: Path) -> None:
    here, there = ({**CONFIG, "dataset": {"path": path, "split": {"seed": 0}}} for path in ("a.npz", "moved/a.npz"))
    opened(tmp_path, here)
    opened(tmp_path, there)
    assert "moved/a.npz" in (tmp_path / "config.yaml").read_text()
    with pytest.raises(UsageError, match="other images or labels"):
        opened(tmp_path, there, data="2e")
    with pytest.raises(UsageError, match=r"dataset.split.seed: 0 there, 1 asked"):
        opened(tmp_path, {**CONFIG, "dataset": {"path": "a.npz", "split": {"seed": 1}}})


def test_a_fingerprint_is_of_labels_images_and_their_number() -> None:
    data = toy.data_set()
    others = [
        replace(data, labels=data.labels.flip(0)),
        replace(data, images=255 - data.images),
        replace(data, images=data.images[:-1], labels=data.labels[:-1]),
        replace(data, images=data.images.transpose(2, 3)),
    ]
    found = {fingerprint(some) for some in (data, toy.data_set(), *others)}
    assert len(found) == 1 + len(others)


def test_a_fingerprint_stays_the_same_from_version_to_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every recorded run holds one. With another recipe no run could go on."""
    monkeypatch.setattr("al_runner.record.provenance.AT_ONCE", 2)
    images = torch.arange(5 * 6, dtype=torch.uint8).view(5, 2, 1, 3)
    labels = torch.tensor([2, 0, 1, 1, 0])
    data = DataSet(images, labels, *torch.arange(5).split([3, 1, 1]), ("a", "b", "c"))
    told = b"[5, 2, 1, 3]" + struct.pack("<5q", 2, 0, 1, 1, 0) + bytes(range(30))
    assert fingerprint(data) == older_fingerprint(data) == blake2b(told, digest_size=16).hexdigest()
    beside = replace(data, features=torch.tensor([[0.5], [1.5], [2.5], [3.5], [4.5]]))
    told += struct.pack("<5f", 0.5, 1.5, 2.5, 3.5, 4.5)
    assert fingerprint(beside) == blake2b(told, digest_size=16).hexdigest()


LIMITED = """
import resource, signal, sys
from pathlib import Path
from al_runner.record.run import RunRecord
import torch
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
record = RunRecord(Path(sys.argv[1]))
record.settle()
record.begin({}, {"data": ""})
for round_ in range(10):
    record.buy(round_, torch.arange(5) + 5 * round_, torch.zeros(5), 0.1, {})
"""


def test_a_disk_that_fills_keeps_what_was_recorded(tmp_path: Path) -> None:
    """A real limit on file size in a process of its own; of the event that did not fit nothing is left."""
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "UsageError" in done.stderr
    assert "free some space" in done.stderr
    held = read((tmp_path / NAME).read_bytes())
    assert (tmp_path / NAME).read_text() == held.text
    assert 3 < len(held.events) < 10
    bought = [event.id for event in held.events if isinstance(event, Bought)]
    assert [int(row["id"]) for row in rows(tmp_path, "acquired.csv")] == [id_ for ids in bought for id_ in ids]
    assert not list(tmp_path.glob(".*"))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_a_folder_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be written"):
        opened(tmp_path / "file")


def test_provenance_keeps_one_entry_for_every_start(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    record.settle()
    for _ in range(2):
        record.begin(CONFIG, provenance(torch.device("cpu"), 3, ["seed=3"], "1f"))
    entries = json.loads((tmp_path / "provenance.json").read_text())
    assert len(entries) == 2
    assert entries[0]["seed"] == 3
    assert (entries[0]["command"], entries[0]["data"]) == (["al-run", "seed=3"], "1f")
    assert entries[0]["torch"] == torch.__version__
    assert {"device", "git_commit", "command", "started", "python", "al-runner"} <= set(entries[0])


def test_predictions_are_kept_beside_the_purchases(tmp_path: Path) -> None:
    run(tmp_path)
    acquired, predicted = rows(tmp_path, "acquired.csv"), rows(tmp_path, "predicted.csv")
    assert [(row["round"], row["id"]) for row in predicted] == [
        (row["round"], row["id"]) for row in acquired if row["round"] != "0"
    ]
    assert all(0 <= int(row["prediction"]) < 10 and 0 < float(row["confidence"]) <= 1 for row in predicted)
    before = (tmp_path / "predicted.csv").read_bytes()
    opened(tmp_path)
    assert (tmp_path / "predicted.csv").read_bytes() == before
    discard(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_the_first_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / NAME).rename(tmp_path / "checksums.json")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for recover in (False, True):
        with pytest.raises(UsageError, match=r"run of al-runner 0.1.*name=.*overwrite=true"):
            opened(tmp_path, recover=recover)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    discard(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_strategy_reports_of_its_queries_has_a_table(tmp_path: Path) -> None:
    class Reporting(Random):
        async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Choice:
            ids = await super().query(fitted, pool, n, streams)
            return Choice(ids, {"candidates": len(pool.candidates), "Z1/N, mean": torch.tensor(0.5)})

    drive(toy.experiment(Reporting()).run(opened(tmp_path)))
    table = (tmp_path / "queries.csv").read_text()
    assert table.startswith('round,name,value\n1,candidates,74.0\n1,"Z1/N, mean",0.5\n2,candidates,69.0\n')
    assert [row["round"] for row in rows(tmp_path, "queries.csv")] == [str(r) for r in range(1, 5) for _ in range(2)]
    drive(toy.experiment().run(opened(tmp_path / "without")))
    assert not (tmp_path / "without" / "queries.csv").exists()
    assert untimed(tmp_path) == untimed_random(tmp_path / "random")


def untimed_random(path: Path) -> list[dict[str, str]]:
    drive(toy.experiment().run(opened(path)))
    return untimed(path)


def test_a_round_costs_the_same_however_many_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes that are written: those of rounds 10 to 19 and of 390 to 399, whose numbers have more digits."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    record, measured = opened(tmp_path), dict.fromkeys(COLUMNS, 0.5)
    written = []
    for round_ in range(400):
        ids = torch.arange(5) + 5 * round_ + 1000
        record.predicted(round_, ids, ids % 3, torch.full((5,), 0.5))
        record.buy(round_, ids, ids % 3, 0.125, {"candidates": 7.0})
        record.measure(round_, {**measured, "labelled": 1000 + 5 * round_}, None)
        written.append(psutil.Process().io_counters().write_chars)
    early, late = written[19] - written[9], written[399] - written[389]
    assert 0 < early <= late < 1.02 * early


def test_a_table_that_somebody_changed_under_a_run_is_written_anew(tmp_path: Path) -> None:
    """Cut, removed or edited while the run goes on: it ends with the tables of a run that nobody looked at."""

    class Meddled(Random):
        def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> torch.Tensor:
            round_ = len(pool.labelled) // 5
            if round_ == 1:
                (tmp_path / "rounds.csv").write_text("")
            elif round_ == 2:
                (tmp_path / "acquired.csv").unlink()
            else:
                (tmp_path / "rounds.csv").write_text("round;labelled\n")
            return super().select(fitted, pool, n, rng)

    drive(toy.experiment(Meddled()).run(opened(tmp_path)))
    assert untimed(tmp_path) == untimed_random(tmp_path / "random")
    for name in ("acquired.csv", "predicted.csv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "random" / name).read_bytes()
    assert {path.read_text() for path in tmp_path.glob("*.damaged*")} == {"round;labelled\n"}


def test_a_journal_that_somebody_changed_under_a_run_ends_it(tmp_path: Path) -> None:
    record = opened(tmp_path)
    with (tmp_path / NAME).open("a") as file:
        file.write("{}\n")
    held = (tmp_path / NAME).read_bytes()
    with pytest.raises(
        UsageError, match=r"journal.jsonl can't be written \(another program changed it in the meantime\)"
    ):
        record.buy(0, torch.arange(6), torch.zeros(6), 0.1, {})
    assert (tmp_path / NAME).read_bytes() == held


def test_a_folder_that_another_process_took_over_is_not_written_to(tmp_path: Path) -> None:
    with Claim(tmp_path / ".lock") as claim:
        record = opened(tmp_path, claim=claim)
        held = (tmp_path / NAME).read_bytes()
        (tmp_path / ".lock.owner").write_text(json.dumps(asdict(replace(Holder.me(), host="elsewhere"))))
        with pytest.raises(Taken, match=r"taken over by another process \(\d+ on elsewhere\)"):
            record.end()
    assert (tmp_path / NAME).read_bytes() == held
    with Claim(tmp_path / ".own") as claim:
        record = opened(tmp_path, claim=claim)
        (tmp_path / ".own.owner").unlink()
        (tmp_path / ".own.owner").mkdir()  # it can't be read: nobody took anything over
        with pytest.raises(UsageError, match=r"journal.jsonl can't be written \(Is a directory\)"):
            record.end()


def test_the_names_of_bought_files_stand_in_the_table_and_survive_a_damaged_journal(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    record.require_settings(CONFIG)
    record.require_plan(PLAN, "1f")
    record.settle()
    names = [f"{number}, a photo.png" for number in range(200)]
    record.begin(CONFIG, {"data": "1f"}, names)
    drive(toy.experiment(Random()).run(record))
    bought = rows(tmp_path, "acquired.csv")
    assert bought
    assert all(row["file"] == names[int(row["id"])] for row in bought)
    journal = (tmp_path / NAME).read_bytes()
    lines = journal.splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if b'"bought"' in line)
    (tmp_path / NAME).write_bytes(
        b"".join([*lines[:place], lines[place].replace(b"photo", b"phxto"), *lines[place + 1 :]])
    )
    mended = RunRecord(tmp_path, recover=True)
    assert "line" in mended.settle()
    assert (tmp_path / NAME).read_bytes() == journal


@pytest.mark.parametrize("event", ["asked", "answered", "bought"])
def test_names_that_look_like_numbers_survive_a_damaged_journal(tmp_path: Path, event: str) -> None:
    """As of traffic signs, whose classes are folders 00000 to 00042; a person's labels must not be lost."""
    record = RunRecord(tmp_path)
    record.settle()
    record.begin(CONFIG, {"data": "1f"}, ["007", "1e5", ""])  # the third came as an array
    record.ask(0, torch.tensor([2, 0, 1]), 0.5, {"nan": 7.0})
    record.answer({2: 1, 0: 0, 1: -1}, {0: "00014", 1: "1.50"})
    record.buy(0, torch.tensor([2, 0]), torch.tensor([1, 0]), 0.5, {"007": 7.0, "inf": 0.25})
    record.measure(0, {**dict.fromkeys(COLUMNS, 0.0), "labelled": 2}, None)
    record.end()
    journal = (tmp_path / NAME).read_bytes()
    lines = journal.splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if f'"event": "{event}"'.encode() in line)
    lines[place] = lines[place].replace(b'"id": [2,', b'"id": [3,')
    (tmp_path / NAME).write_bytes(b"".join(lines))
    assert RunRecord(tmp_path, recover=True).settle() == f"{NAME} (line {place + 1}) damaged and set aside"
    assert (tmp_path / NAME).read_bytes() == journal


def test_a_run_of_an_older_version_goes_on(tmp_path):
    """Its options had other names, or were not there."""
    older = {"budget": {"balanced": True, "initial": 6}, "dataset": {"_target_": "al_runner.data.npz.npz"}}
    opened(tmp_path, older).begin(older, {"data": "1f"})
    dataset = {"_target_": "al_runner.data.npz.npz", "values": "uint8"}
    opened(tmp_path, {"budget": {"initial_by": "balanced", "initial": 6}, "dataset": dataset})
    for budget, values in (("random", "uint8"), ("balanced", "float")):
        other = {"budget": {"initial_by": budget, "initial": 6}, "dataset": {**dataset, "values": values}}
        with pytest.raises(UsageError, match="holds a run of another configuration"):
            opened(tmp_path, other)


def test_an_ensemble_from_before_shared_orders_goes_on_without_them(tmp_path):
    older = {"learner": {"_target_": "al_runner.learners.ensemble.Ensemble", "members": 5}}
    opened(tmp_path, older).begin(older, {"data": "1f"})
    opened(tmp_path, {"learner": {**older["learner"], "shared_order": False}})
    with pytest.raises(UsageError, match=r"learner\.shared_order: False there, True asked"):
        opened(tmp_path, {"learner": {**older["learner"], "shared_order": True}})


def test_an_option_at_its_default_may_be_given_or_left_out(tmp_path):
    """The same in the learner's copy of the training."""
    adam = {"_target_": "torch.optim.Adam", "lr": 1e-3}
    short = {"_target_": "al_runner.training.Recipe", "batch_size": 8, "optimizer": adam}
    long = {**short, "keep": "best", "reshuffle": True, "optimizer": {**adam, "weight_decay": 0, "betas": [0.9, 0.999]}}
    opened(tmp_path, {"training": short, "learner": {"recipe": long}})
    opened(tmp_path, {"training": long, "learner": {"recipe": short}})
    for name, value in (("keep", "last"), ("reshuffle", False), ("optimizer", {**adam, "weight_decay": 0.1})):
        with pytest.raises(UsageError, match=rf"training\.{name}[.:]"):
            opened(tmp_path, {"training": {**long, name: value}, "learner": {"recipe": short}})


@pytest.mark.parametrize("more", [(), STOPPING])
def test_a_run_from_before_auroc_keeps_its_columns(tmp_path, monkeypatch, more):
    """The columns of stopping= come after those of every run, so the older header is not the newer one's beginning."""
    older = tuple(name for name in COLUMNS if name not in RANKING)
    row = dict.fromkeys((*COLUMNS, *more), 0.25)

    def measure(record, round_):
        record.buy(round_, torch.tensor([round_]), torch.tensor([0]), 0.5, {})
        record.measure(round_, row, None)

    with monkeypatch.context() as before:
        before.setattr("al_runner.record.run.COLUMNS", older)
        measure(opened(tmp_path, plan=[1, 1]), 0)
    (tmp_path / "rounds.csv").unlink()  # it is written anew, from the journal
    measure(opened(tmp_path, plan=[1, 1]), 1)
    assert [tuple(kept) for kept in rows(tmp_path)] == [(*older, *more)] * 2
    assert {kept[name] for kept in rows(tmp_path) for name in (*RANKING, *more) if name in kept} <= {"0.25"}
    journal = (tmp_path / NAME).read_bytes()
    lines = journal.splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if b'"measured"' in line)
    damaged = b"".join([*lines[:place], lines[place].replace(b"0.25", b"0.75"), *lines[place + 1 :]])
    (tmp_path / NAME).write_bytes(damaged)
    assert "line" in RunRecord(tmp_path, recover=True).settle()
    assert (tmp_path / NAME).read_bytes() == journal


def test_what_can_t_be_ranked_is_blank(tmp_path):
    """All test images are of one class."""
    record = opened(tmp_path)
    record.buy(0, torch.tensor([3]), torch.tensor([0]), 0.5, {})
    record.measure(0, dict.fromkeys(COLUMNS, 0.25) | dict.fromkeys(RANKING, math.nan), None)
    assert [rows(tmp_path)[0][name] for name in (*RANKING, "test_ece")] == ["", "", "0.25"]
    assert math.isnan(RunRecord(tmp_path).column("test_auroc")[0])
