"""Rules that end a run: their values by hand, and the round in which they stop it, also if it is resumed."""

import json
from dataclasses import replace
from math import isnan, log, nan
from pathlib import Path

import command
import pytest
import sklearn.metrics
import torch
import toy
from recorded import Stop, stop_after, untimed

from al_runner.engine.drive import drive
from al_runner.errors import UsageError
from al_runner.loop.experiment import Experiment
from al_runner.loop.stopping import AGREEMENT, UNCERTAINTY, Stopping, Watch, agreement, uncertainty
from al_runner.oracle.simulated import Simulated
from al_runner.record.journal import NAME, Ended, read
from al_runner.record.run import RunRecord
from al_runner.record.views import STOPPING

RULES = ("stop_stabilising", "stop_low_uncertainty", "stop_plateau")
EARLY = Stopping("stabilising", images=30, agreement=-1, window=2)  # stops in round 2: the first with two kappas


def experiment(stopping: Stopping | None) -> Experiment:
    return replace(toy.experiment(), stopping=stopping)


def run(stopping: Stopping | None) -> toy.Memory:
    memory = toy.Memory()
    drive(experiment(stopping).run(memory))
    return memory


@pytest.mark.parametrize("seed", range(4))
def test_kappa_as_scikit_learn(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    left = torch.randint(5, (200,), generator=rng)
    right = torch.where(torch.rand(200, generator=rng) < 0.7, left, torch.randint(5, (200,), generator=rng))
    assert agreement(left, right, 5) == pytest.approx(sklearn.metrics.cohen_kappa_score(left, right), rel=1e-12)
    assert agreement(left, left, 5) == 1
    assert agreement(torch.ones(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64), 3) == 1


def test_uncertainty_by_hand() -> None:
    probs = torch.tensor([[0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])
    assert uncertainty(probs.log()) == pytest.approx((1 + 0 + log(2) / log(4)) / 3)


@pytest.mark.parametrize(
    ("kappas", "unsure", "errors", "expected"),
    [
        ([nan], 0.5, [0.3], (0, 0, 0)),
        ([nan, 1.0, 1.0], 0.5, [0.3, 0.2, 0.1], (0, 0, 0)),  # the mean of three needs four nets
        ([nan, 0.971, 1.0, 1.0], 0.05, [0.4, 0.3, 0.2, 0.1], (1, 0, 0)),
        ([nan, 0.969, 1.0, 1.0], 0.049, [0.1, 0.3, 0.2, 0.2], (0, 1, 1)),
        ([nan, 0.5, 1.0, 1.0, 1.0], nan, [0.4, 0.1, 0.2, 0.1], (1, 0, 0)),  # equal is no new minimum
        ([nan, 0.5, 0.5, 0.5, 0.5], nan, [0.4, 0.1, 0.2, 0.1, 0.1], (0, 0, 1)),
    ],
)
def test_what_the_rules_say(
    kappas: list[float], unsure: float, errors: list[float], expected: tuple[int, int, int]
) -> None:
    said = Stopping(patience=3, uncertainty=0.05).said(kappas, unsure, errors)
    assert tuple(said[rule] for rule in RULES) == expected


def test_a_rule_ends_the_run_and_changes_nothing_before() -> None:
    free, recorded, early = run(None), run(replace(EARLY, obey=None)), run(EARLY)
    assert [len(memory.rows) for memory in (free, recorded, early)] == [5, 5, 3]
    assert early.untimed()[1:] == recorded.untimed()[1:3]
    assert isnan(early.rows[0]["stop_agreement"]) and isnan(recorded.rows[0]["stop_agreement"])
    assert [torch.equal(one, other) for one, other in zip(free.ids, recorded.ids, strict=True)] == [True] * 5
    plain = [{name: value for name, value in row.items() if "stop" not in name} for row in recorded.untimed()]
    assert plain == free.untimed()
    assert [by_class.whole for by_class in early.by_class] == [False, False, True]


@pytest.mark.parametrize(("window", "rounds", "rule"), [(2, 3, "stabilising"), (3, 4, "stabilising"), (4, 5, None)])
def test_a_rule_that_says_stop_in_the_last_planned_round_has_ended_nothing(
    window: int, rounds: int, rule: str | None
) -> None:
    planned, memory = experiment(replace(EARLY, window=window)), toy.Memory()
    drive(planned.run(memory))
    assert (len(memory.rows), memory.rows[-1]["stop_stabilising"], planned.ended_by(memory)) == (rounds, 1.0, rule)


def test_the_columns_are_of_successive_nets_and_of_images_without_a_label() -> None:
    memory, seen = toy.Memory(), []
    planned = experiment(Stopping(images=30))
    drive(planned.run(memory, seen=lambda round_, fitted, row: seen.append(fitted)))
    ids = Watch(Stopping(images=30), planned.data, 0).ids
    assert len(ids) == 30 and bool(torch.isin(ids, planned.data.train).all())
    probs = [fitted.log_probs(planned.data.images[ids])[:, 0] for fitted in seen]
    for round_ in range(1, 5):
        expected = sklearn.metrics.cohen_kappa_score(probs[round_ - 1].argmax(1), probs[round_].argmax(1))
        assert memory.rows[round_]["stop_agreement"] == pytest.approx(expected)
        left = ~torch.isin(ids, torch.cat(memory.ids[: round_ + 1]))
        assert memory.rows[round_]["stop_uncertainty"] == pytest.approx(uncertainty(probs[round_][left]), rel=1e-6)


def test_test_labels_change_no_rule() -> None:
    planned = experiment(replace(EARLY, obey=None))
    labels = planned.data.labels.clone()
    labels[planned.data.test] = 0
    changed = replace(planned.data, labels=labels)
    memories = [toy.Memory(), toy.Memory()]
    drive(planned.run(memories[0]))
    drive(replace(planned, data=changed, oracle=Simulated(changed)).run(memories[1]))
    for one, other in zip(*(memory.rows for memory in memories), strict=True):
        assert one["test_error"] != other["test_error"]
        names = [name for name in one if name.startswith("stop") and not isnan(one[name])]
        assert [one[name] for name in names] == [other[name] for name in names]
        assert len(names) >= 4


def recorded(folder: Path, stop_at: int = 0) -> RunRecord:
    record, planned = RunRecord(folder), experiment(EARLY)
    record.require_settings({"seed": 0})
    record.require_plan(planned.purchases, "1f")
    record.settle()
    record.begin({"seed": 0}, {"data": "1f"})
    stop_after(record, stop_at)
    drive(planned.run(record))
    record.end(planned.ended_by(record))
    return record


def test_the_record_has_a_column_for_every_rule() -> None:
    """A column that the record does not know would be dropped."""
    said = Stopping().said([nan], nan, [0.5])
    assert (AGREEMENT, UNCERTAINTY, *said) == STOPPING


def test_a_resumed_run_stops_in_the_same_round(tmp_path: Path) -> None:
    """Killed after each write in turn; the last write is the measurement in which the rule says stop."""
    recorded(tmp_path / "whole")
    rows = untimed(tmp_path / "whole")
    assert [row["stop_stabilising"] for row in rows] == ["0.0", "0.0", "1.0"]
    assert rows[0]["stop_agreement"] == ""
    for stop_at in range(1, 9):
        folder = tmp_path / f"part{stop_at}"
        with pytest.raises(Stop):
            recorded(folder, stop_at)
        recorded(folder)
        assert untimed(folder) == rows
        for name in ("acquired.csv", "classes.csv", "confusion.csv"):
            assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert read((folder / NAME).read_bytes()).events[-1] == Ended(3, "stabilising")


def test_an_ended_run_goes_on_if_the_rule_is_no_longer_obeyed(tmp_path: Path) -> None:
    record = recorded(tmp_path)
    planned = experiment(replace(EARLY, obey=None))
    assert (experiment(EARLY).rounds(record), planned.rounds(record)) == (3, 5)
    drive(planned.run(record))
    record.end(planned.ended_by(record))
    assert len(untimed(tmp_path)) == 5
    assert read((tmp_path / NAME).read_bytes()).events[-1] == Ended(5)


def test_a_job_that_a_rule_ends_leaves_the_sweep(tmp_path: Path) -> None:
    """In lock-step beside one that goes on; the state says which rule it was, and the same command does nothing."""
    words = ["model=usps_cnn", "budget.max_rounds=3", "training.max_checks=2", "training.check_every=4"]
    rule = ["stopping=stabilising", "stopping.images=50", "stopping.window=1", "stopping.agreement=-1,1"]
    sweep = ["-m", "hydra/launcher=lockstep", f"results={tmp_path}", "name=${stopping.agreement}", *words, *rule]
    code, output = command.finished(*sweep)
    assert (code, "all 2 jobs are done" in output) == (0, True), output
    rounds = {file.parents[1].name: len(untimed(file.parent)) for file in tmp_path.rglob("rounds.csv")}
    assert rounds == {"badge--1": 2, "badge-1": 4}
    states = {file.parents[1].name: json.loads(file.read_text()) for file in tmp_path.rglob("state.json")}
    early, late = states["badge--1"], states["badge-1"]
    assert (early["state"], early["rule"], early["rounds"]) == ("done", "stabilising", 2)
    assert (late["state"], late["rule"], late["rounds"]) == ("done", "", 4)
    assert "stabilising says stop, with 40 labels" in output
    code, output = command.finished(*sweep)
    assert (code, output.count("finished already")) == (0, 2)


def test_options_out_of_range_are_named() -> None:
    with pytest.raises(UsageError, match=r"stopping\.agreement"):
        Stopping(agreement=1.5)
    with pytest.raises(UsageError, match=r"stopping\.obey"):
        Stopping(obey="never")  # type: ignore[arg-type]  # what a user may type
