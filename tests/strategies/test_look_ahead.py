"""The look-ahead: the best of many batches by trial fits, an upper line that no strategy has a part in."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import pytest
import torch
import toy
from torch import Tensor

import al_runner
from al_runner.engine.drive import Engine, drive
from al_runner.engine.one_by_one import train_all
from al_runner.engine.stacked import Stacked
from al_runner.errors import UsageError
from al_runner.learners.checked import Checked
from al_runner.loop.experiment import Experiment
from al_runner.loop.measure import prediction, score
from al_runner.oracle.person import Person
from al_runner.pool import Outcome, Pool
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.strategies.in_turn import InTurn
from al_runner.strategies.look_ahead import LookAhead
from al_runner.strategies.proposals import proposals
from al_runner.strategies.random import Random
from al_runner.strategies.uncertainty import TopScore, margin
from al_runner.testing.case import pool_of
from al_runner.training import Fit, Trained
from al_runner.types import DataSet, Fitted, Unfitted

LINE = LookAhead([Random(), TopScore(margin)], batches=4)


@dataclass
class Told:
    """A foresight with given outcomes, which keeps what it was asked."""

    losses: Sequence[float]
    asked: list[tuple[str, Sequence[Tensor], Streams]] = field(default_factory=list)

    async def validation(self, batches: Sequence[Tensor], fitted: Fitted, streams: Streams) -> list[Outcome]:
        self.asked.append(("validation", batches, streams))
        return [Outcome(1 - loss, loss) for loss in self.losses]

    async def test(self, batches: Sequence[Tensor], fitted: Fitted, streams: Streams) -> list[Outcome]:
        self.asked.append(("test", batches, streams))
        return [Outcome(1 - loss, loss) for loss in self.losses]


def told(line: LookAhead, losses: Sequence[float]) -> tuple[Tensor, dict[str, float], Told]:
    pool, foresight = pool_of(toy.data_set()), Told(losses)
    pool.foresight = foresight
    choice = drive(line.query(Unfitted(), pool, 5, Streams(0, 1)))
    return choice.chosen, dict(choice.facts), foresight


RANDOM = LookAhead([Random()], batches=4)


def test_the_batch_of_least_loss_is_bought() -> None:
    chosen, facts, foresight = told(RANDOM, [0.5, 0.25, 0.75, 0.25])
    ((images, batches, streams),) = foresight.asked
    assert torch.equal(chosen, batches[1])  # the first of two that are equal
    assert facts == {"trial_loss": 0.25, "mean_trial_loss": 0.4375, "proposer": 0}
    assert (images, streams) == ("validation", Streams(0, 1, "/trial"))
    assert len({frozenset(batch.tolist()) for batch in batches}) == 4


def test_it_may_judge_by_the_error_and_on_the_test_images() -> None:
    chosen, facts, foresight = told(replace(RANDOM, measure="error", images="test"), [0.5, 0.25, 0.75, 0.25])
    ((images, batches, _),) = foresight.asked
    assert images == "test"
    assert torch.equal(chosen, batches[2])
    assert facts["trial_error"] == 0.25


@dataclass(frozen=True)
class Spy(Strategy):
    """Takes the first candidates, and keeps the pools that it sees."""

    seen: list[Pool]

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        self.seen.append(pool)
        return pool.candidates[:n]


def test_proposers_take_turns_and_choose_from_a_part_of_the_candidates() -> None:
    seen: list[Pool] = []
    line = LookAhead([Spy(seen), Random()], batches=5, part=0.25)
    _, facts, foresight = told(line, [5, 4, 3, 2, 1])
    ((_, batches, _),) = foresight.asked
    assert facts["proposer"] == 0
    assert [len(pool.candidates) for pool in seen] == [10, 10, 10]
    assert len({frozenset(pool.candidates.tolist()) for pool in seen}) == 3
    assert all(torch.equal(batches[2 * i], pool.candidates[:5]) for i, pool in enumerate(seen))
    assert not {int(id_) for pool in seen for id_ in pool.candidates} - set(pool_of(toy.data_set()).candidates.tolist())


def run(strategy: Strategy, memory: toy.Memory, engine: Engine = train_all, data: DataSet | None = None) -> toy.Memory:
    drive(on(strategy, data).run(memory), engine)
    return memory


def on(strategy: Strategy, data: DataSet | None = None) -> Experiment:
    """A run of two queries, with short trainings."""
    made = toy.experiment(strategy, max_checks=2)
    made = replace(made, budget=replace(made.budget, max_rounds=2))
    return made if data is None else replace(made, data=data, oracle=replace(made.oracle, data=data))


@pytest.mark.parametrize("images", ["validation", "test"])
def test_the_outcomes_are_those_of_nets_that_are_trained_on_the_true_labels(images: str) -> None:
    """Bought and fitted by hand, batch for batch, in the second round of a run."""
    line, made = replace(LINE, images=images, measure="loss"), on(replace(LINE, images=images))
    memory = run(line, toy.Memory())
    data, learner = made.data, Checked(made.learner, "Plain")
    pool = toy.bought(data, memory.ids[0])
    fitted = drive(learner.fit(made.train_data(pool), Streams(0, 0), None))
    pool.draw_candidates(made.plan.candidate_count, Streams(0, 1)("candidates"))
    judged = data.val if images == "validation" else data.test
    size = ceil(line.part * len(pool.candidates))
    batches = drive(proposals(line.proposers, 4, fitted, pool, size, 5, Streams(0, 1)))
    losses = []
    for batch in batches:
        bought = toy.bought(data, memory.ids[0])
        bought.buy(batch, data.labels[batch])
        fit = drive(learner.fit(made.train_data(bought), Streams(0, 1, "/trial"), None))
        losses.append(score(prediction(fit, data.images[judged]), data.labels[judged])[1])
    best = min(range(4), key=losses.__getitem__)
    assert len(set(losses)) == 4
    assert torch.equal(memory.ids[1], batches[best])
    assert memory.facts[1]["trial_loss"] == pytest.approx(losses[best], abs=1e-9)
    assert memory.facts[1]["mean_trial_loss"] == pytest.approx(sum(losses) / 4, abs=1e-9)


def test_all_trial_fits_are_asked_for_at_once() -> None:
    sizes = []

    def engine(fits: Sequence[Fit]) -> Sequence[Trained | Exception]:
        sizes.append(len(fits))
        return train_all(fits)

    run(LINE, toy.Memory(), engine)
    assert sizes == [1, 4, 1, 4, 1]


def test_the_choice_does_not_depend_on_the_engine() -> None:
    """One after the other, or all in one stack, which a CPU has only if it is told."""
    one, other = run(LINE, toy.Memory()), run(LINE, toy.Memory(), Stacked(max_stacked=8).train_all)
    assert [ids.tolist() for ids in one.ids] == [ids.tolist() for ids in other.ids]


@pytest.mark.parametrize("rounds", range(4))
def test_a_run_resumes(rounds: int) -> None:
    whole, part = run(LINE, toy.Memory()), toy.Memory()
    part.ids, part.rows, part.facts = whole.ids[:rounds], whole.rows[:rounds], whole.facts[:rounds]
    assert run(LINE, part).untimed() == whole.untimed()
    assert part.facts == whole.facts


def test_it_resumes_with_a_net_that_continues() -> None:
    def once(memory: toy.Memory) -> toy.Memory:
        made = on(LINE)
        drive(replace(made, learner=toy.Continuing(made.learner)).run(memory))  # type: ignore[arg-type]
        return memory

    whole, part = once(toy.Memory()), toy.Memory()
    part.ids, part.rows, part.facts = whole.ids[:2], whole.rows[:2], whole.facts[:2]
    assert once(part).untimed() == whole.untimed()


def test_it_knows_hidden_labels_and_no_strategy_does() -> None:
    """Other labels of images that are never bought change its choice, and no other choice."""
    data = toy.data_set()
    first = run(LINE, toy.Memory()).ids[0]
    labels = (data.labels + 1) % 3
    kept = torch.cat([first, data.val, data.test])
    labels[kept] = data.labels[kept]
    other = replace(data, labels=labels)
    assert not torch.equal(run(LINE, toy.Memory()).ids[1], run(LINE, toy.Memory(), data=other).ids[1])
    for strategy in (Random(), TopScore(margin)):
        assert torch.equal(run(strategy, toy.Memory()).ids[1], run(strategy, toy.Memory(), data=other).ids[1])


def test_no_strategy_is_given_foresight() -> None:
    for around in (lambda spy: spy, lambda spy: LookAhead([spy], batches=2)):
        seen: list[Pool] = []
        run(around(Spy(seen)), toy.Memory())
        assert seen
        assert all(pool.foresight is None for pool in seen)


def test_a_strategy_that_hands_over_to_it_is_an_upper_line_too() -> None:
    both = InTurn(Random(), LINE, 1)
    assert both.foresees
    assert not InTurn(Random(), TopScore(margin), 1).foresees
    assert torch.equal(run(both, toy.Memory()).ids[1], run(LINE, toy.Memory()).ids[1])


def test_it_is_refused_before_training_if_a_person_labels() -> None:
    data = toy.data_set()
    made = replace(on(LINE), oracle=Person(data))
    with pytest.raises(UsageError, match=r"LookAhead uses labels that are not bought yet; use oracle=simulated"):
        drive(made.run(toy.Memory()))
    with pytest.raises(UsageError, match="oracle=simulated"):
        _ = made.purchases


def test_it_is_refused_for_a_net_of_one_s_own() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 3))
    with pytest.raises(UsageError, match="LookAhead uses labels that nobody knows yet"):
        al_runner.choose(LINE, net=net, pool=torch.rand(20, 1, 6, 6), n=3)


def test_it_does_not_propose_to_itself() -> None:
    with pytest.raises(UsageError, match=r"strategy\.proposers can't be LookAhead"):
        LookAhead([Random(), LINE])


def test_a_purchase_on_trial_changes_nothing() -> None:
    data = toy.data_set()
    pool = pool_of(data)
    before = (pool.labelled.clone(), pool.unlabelled.clone(), pool.candidates.clone(), pool.old, pool.asked)
    ids = pool.candidates[:3]
    later = pool.after(ids, data.labels[ids])
    assert torch.equal(later.y(later.labelled[-3:]), data.labels[ids])
    assert (later.old, later.asked) == (12, 15)
    assert all(
        torch.equal(*pair) for pair in zip(before[:3], (pool.labelled, pool.unlabelled, pool.candidates), strict=True)
    )
    assert (pool.old, pool.asked) == before[3:]
    with pytest.raises(ValueError, match="was not bought"):
        pool.y(ids)
