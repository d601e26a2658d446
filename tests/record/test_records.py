import csv
import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import toy
from recorded import untimed

from al_runner.engine.drive import drive
from al_runner.errors import UsageError
from al_runner.record.provenance import fingerprint, provenance
from al_runner.record.records import COLUMNS, RunFolder, write
from al_runner.strategies.kfac_vfe import KfacVfe

CONFIG = {"seed": 0, "strategy": {"gamma": 0.0}}


def folder(path: Path, config: dict = CONFIG, **options: Any) -> RunFolder:
    return RunFolder(path, config, **options)


def rows(path: Path, name: str = "rounds.csv") -> list[dict[str, str]]:
    return list(csv.DictReader((path / name).open()))


def run(path: Path) -> None:
    drive(toy.experiment(KfacVfe()).run(folder(path)))


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


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_the_classes_found_so_far_are_counted(tmp_path: Path, missing: int) -> None:
    """Also those of an older run, whose table has no such column, nor one of energy."""
    labels = [[2, 2], [2], [0, 2], [1]]
    measured = dict.fromkeys(COLUMNS[1:-2], 0.0)
    record = folder(tmp_path)
    for round_, bought in enumerate(labels[:3]):
        record.buy(round_, torch.arange(len(bought)) + 2 * round_, torch.tensor(bought), 0.1)
        record.measure(round_, {**measured, "labelled": sum(map(len, labels[: round_ + 1]))})
    assert [row["classes"] for row in rows(tmp_path)] == ["1", "1", "2"]
    table = (tmp_path / "rounds.csv").read_text().splitlines()
    (tmp_path / "rounds.csv").write_text("".join(line.rsplit(",", missing)[0] + "\n" for line in table))
    (tmp_path / "checksums.json").unlink()
    record = folder(tmp_path)
    record.buy(3, torch.tensor([9]), torch.tensor(labels[3]), 0.1)
    record.measure(3, {**measured, "labelled": 6})
    assert [row["classes"] for row in rows(tmp_path)] == ["1", "1", "2", "3"]
    assert [row["energy_joules"] for row in rows(tmp_path)] == [""] * 4


def test_the_running_minimum_is_a_column_of_its_own(tmp_path: Path) -> None:
    record = folder(tmp_path)
    measured = dict.fromkeys(COLUMNS, 0.0)
    for round_, error in enumerate([0.5, 0.3, 0.4]):
        record.buy(round_, torch.tensor([round_]), torch.tensor([0]), 0.1)
        record.measure(round_, {**measured, "labelled": round_ + 1, "test_error": error})
    assert [float(row["test_error"]) for row in rows(tmp_path)] == [0.5, 0.3, 0.4]
    assert [float(row["best_test_error"]) for row in rows(tmp_path)] == [0.5, 0.3, 0.3]


class Stop(Exception):
    pass


@pytest.mark.parametrize("stop_at", range(1, 10))
def test_resuming_from_any_write_gives_the_rows_of_a_run_never_interrupted(tmp_path: Path, stop_at: int) -> None:
    """Five rounds write ten times; stop after each write in turn, then run the same command again."""
    run(tmp_path / "whole")
    record = folder(tmp_path / "part")
    writes = 0

    def counted(method):  # type: ignore[no-untyped-def]
        def call(*args):  # type: ignore[no-untyped-def]
            nonlocal writes
            method(*args)
            writes += 1
            if writes == stop_at:
                raise Stop

        return call

    record.buy, record.measure = counted(record.buy), counted(record.measure)  # type: ignore[method-assign]
    with pytest.raises(Stop):
        drive(toy.experiment(KfacVfe()).run(record))
    run(tmp_path / "part")
    assert untimed(tmp_path / "part") == untimed(tmp_path / "whole")
    assert rows(tmp_path / "part", "acquired.csv") == rows(tmp_path / "whole", "acquired.csv")


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
        folder(tmp_path, other)
    with pytest.raises(UsageError, match=r"budget.query: None there, 3 asked"):
        folder(tmp_path, {**CONFIG, "budget": {"query": 3}})
    assert (tmp_path / "rounds.csv").read_bytes() == before
    assert folder(tmp_path, other, overwrite=True).rows == []
    assert not (tmp_path / "acquired.csv").exists()


def test_a_longer_budget_continues_a_run(tmp_path: Path) -> None:
    """Stopped after two queries, then asked for four: the rows of a run that was asked for four at once."""
    run(tmp_path / "whole")
    asked = toy.experiment(KfacVfe())
    for rounds in (2, 4):
        part = replace(asked, budget=replace(asked.budget, max_rounds=rounds))
        config = {**CONFIG, "budget": {"max_rounds": rounds}}
        drive(part.run(folder(tmp_path / "part", config, plan=part.purchases)))
    assert untimed(tmp_path / "part") == untimed(tmp_path / "whole")
    assert rows(tmp_path / "part", "acquired.csv") == rows(tmp_path / "whole", "acquired.csv")
    assert "max_rounds: 4" in (tmp_path / "part" / "config.yaml").read_text()


@pytest.mark.parametrize("plan", [[6, 5, 5], [6, 5, 5, 5, 2], [6, 5, 5, 5, 6], []])
def test_a_run_is_neither_cut_nor_continued_from_a_query_of_another_size(tmp_path: Path, plan: list[int]) -> None:
    run(tmp_path)
    before = (tmp_path / "config.yaml").read_bytes()
    with pytest.raises(UsageError, match=r"holds purchases of 6, 4 times 5.*name=.*overwrite=true"):
        folder(tmp_path, {**CONFIG, "budget": {"max_rounds": 2}}, plan=plan)
    assert (tmp_path / "config.yaml").read_bytes() == before


@pytest.mark.parametrize("name", ["rounds.csv", "acquired.csv"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("round", "r0und", 1),
        lambda text: text.replace(",", ";"),
        lambda text: text.replace("\n1,", "\nx,", 1),
        lambda text: "\n".join(text.split("\n")[:2] + text.split("\n")[3:]),
        lambda text: "",
    ],
)
def test_damaged_records_are_refused_not_continued(tmp_path: Path, name: str, damage) -> None:  # type: ignore[no-untyped-def]
    run(tmp_path)
    file = tmp_path / name
    file.write_text(damage(file.read_text()))
    with pytest.raises(UsageError, match=r"overwrite=true"):
        folder(tmp_path)


def test_labels_that_changed_are_noticed(tmp_path: Path) -> None:
    run(tmp_path)
    labels = toy.data_set().labels
    folder(tmp_path).require_data("", labels)
    changed = labels.clone()
    changed[int(rows(tmp_path, "acquired.csv")[3]["id"])] += 1
    with pytest.raises(UsageError, match="another label"):
        folder(tmp_path).require_data("", changed)
    with pytest.raises(UsageError, match="another label"):
        folder(tmp_path).require_data("", labels[:10])


def test_images_that_changed_are_noticed(tmp_path: Path) -> None:
    data = toy.data_set()
    run(tmp_path)
    record = folder(tmp_path)
    record.require_data("of a start without a fingerprint", data.labels)
    record.add_provenance(provenance(torch.device("cpu"), 3, [], fingerprint(data)))
    folder(tmp_path).require_data(fingerprint(toy.data_set()), data.labels)
    data.images[-1] += 1
    with pytest.raises(UsageError, match=r"other images or labels .* the data changed; restore it"):
        folder(tmp_path).require_data(fingerprint(data), data.labels)


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


def test_a_disk_that_fills_keeps_what_was_recorded(tmp_path: Path) -> None:
    """A real limit on file size in a process of its own; the row that did not fit leaves the earlier file whole."""
    script = (
        "import resource, sys; from pathlib import Path; from al_runner.record.records import write\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write(Path(sys.argv[1]), 'x' * 2000)\n"
    )
    file = tmp_path / "rounds.csv"
    write(file, "kept\n")
    done = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "UsageError" in done.stderr
    assert "free some space" in done.stderr
    assert file.read_text() == "kept\n"
    assert os.listdir(tmp_path) == ["rounds.csv"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_a_folder_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be written"):
        write(tmp_path / "file" / "rounds.csv", "")


def test_provenance_keeps_one_entry_for_every_start(tmp_path: Path) -> None:
    record = folder(tmp_path)
    for _ in range(2):
        record.add_provenance(provenance(torch.device("cpu"), 3, ["seed=3"], "1f"))
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
    RunFolder(tmp_path, CONFIG)
    assert (tmp_path / "predicted.csv").read_bytes() == before
    RunFolder(tmp_path, CONFIG, overwrite=True)
    assert not (tmp_path / "predicted.csv").exists()
