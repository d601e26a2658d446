"""budget.val_share: labelled images that are set aside for validation, and keep that role for a whole run."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
import torch
import toy
from made_fits import Watching
from torch import Tensor

from al_runner.engine.drive import Engine, Task, drive, drive_all
from al_runner.engine.stacked import Stacked
from al_runner.loop.experiment import Experiment
from al_runner.loop.set_aside import new_pool
from al_runner.oracle.simulated import Simulated
from al_runner.pool import Pool
from al_runner.strategies.base import Strategy
from al_runner.strategies.ceal import Ceal
from al_runner.strategies.dfal import Dfal
from al_runner.strategies.full import Full
from al_runner.strategies.look_ahead import LookAhead
from al_runner.strategies.random import Random
from al_runner.strategies.uncertainty import TopScore, entropy, margin
from al_runner.types import Fitted

ENTROPY = TopScore(entropy)


def experiment(
    strategy: Strategy | None = None, seed: int = 0, share: float | None = 0.2, **budget: object
) -> Experiment:
    made = toy.experiment(strategy, seed)
    return replace(made, budget=replace(made.budget, val_share=share, **budget))  # type: ignore[arg-type]


@dataclass
class Ran:
    """A finished run: its record, the fits that it asked for, and the net of every round."""

    memory: toy.Memory
    fits: list = field(default_factory=list)
    fitted: list[Fitted] = field(default_factory=list)

    @property
    def roles(self) -> list[tuple[list[int], list[int]]]:
        """The ids of each round's training and validation examples, found by their pixels."""
        return [(ids_of(fit.data.x), ids_of(fit.data.val_x)) for fit in self.fits]


def ran(made: Experiment, memory: toy.Memory | None = None) -> Ran:
    engine, run = Watching(), Ran(memory or toy.Memory())
    drive(made.run(run.memory, seen=lambda round_, fitted, row: run.fitted.append(fitted)), engine)
    run.fits = engine.fits
    return run


KEYS = {tuple(x.flatten().tolist()): id_ for id_, x in enumerate(toy.data_set().images)}


def ids_of(x: Tensor) -> list[int]:
    return [KEYS[tuple(image.flatten().tolist())] for image in x]


def test_both_roles_are_bought_and_no_image_ever_changes_its_role() -> None:
    run = ran(experiment(ENTROPY))
    train, val = set(), set()
    for (training, validation), total in zip(run.roles, (6, 11, 16, 21, 26), strict=True):
        bought = torch.cat(run.memory.ids)[:total].tolist()
        assert sorted([*training, *validation]) == sorted(bought)
        assert len(validation) == round(0.2 * total)
        assert train <= {*training} and val <= {*validation}
        train, val = {*training}, {*validation}
        assert not val & {*toy.data_set().val.tolist()}
    assert [row["labelled"] for row in run.memory.rows] == [6, 11, 16, 21, 26]


def test_the_labels_of_the_validation_examples_are_those_that_were_bought() -> None:
    for fit in ran(experiment()).fits:
        assert torch.equal(fit.data.val_y, toy.data_set().labels[ids_of(fit.data.val_x)])
        assert torch.equal(fit.data.y, toy.data_set().labels[ids_of(fit.data.x)])


def test_examples_from_before_the_newest_purchase_come_first() -> None:
    """So learner=fine_tuned and adversarial twins tell old from new training examples."""
    run = ran(experiment())
    for round_, (fit, (training, _)) in enumerate(zip(run.fits, run.roles, strict=True)):
        assert training[: fit.data.old] == (run.roles[round_ - 1][0] if round_ else [])
        assert {*training[fit.data.old :]} <= {*run.memory.ids[round_].tolist()}


def test_errors_are_recorded_of_what_was_set_aside_and_of_what_was_trained_on() -> None:
    run, data = ran(experiment()), toy.data_set()
    for row, fitted, (training, validation) in zip(run.memory.rows, run.fitted, run.roles, strict=True):
        for name, ids in (("val_error", validation), ("train_error", training), ("test_error", data.test)):
            wrong = fitted.log_probs(data.images[ids]).mean(1).argmax(1) != data.labels[ids]
            assert row[name] == wrong.double().mean().item()


def test_strategies_of_a_seed_begin_with_the_same_roles_and_the_same_first_labels_as_without_the_option() -> None:
    one, other, without = (ran(made) for made in (experiment(), experiment(ENTROPY), experiment(share=None)))
    assert one.roles[0] == other.roles[0]
    assert torch.equal(one.memory.ids[0], without.memory.ids[0])
    assert ran(experiment(seed=1)).roles[0] != one.roles[0]
    assert without.roles[0] == (without.memory.ids[0].tolist(), toy.data_set().val.tolist())
    # Random sampling does not look at the net: it buys the same images in every round.
    assert torch.equal(torch.cat(one.memory.ids), torch.cat(without.memory.ids))


def test_roles_depend_on_the_ids_and_not_on_their_order_or_on_who_bought_them() -> None:
    made = experiment()
    pools = [new_pool(made.data, made.plan, seed=0) for _ in range(2)]
    ids = made.data.train[:30]
    for pool, order in zip(pools, (ids, ids.flip(0)), strict=True):
        pool.buy(order, made.data.labels[order])
    assert pools[0].validation.tolist() == pools[1].validation.tolist()
    assert len(pools[0].validation) == 6


@pytest.mark.parametrize("share", [0.03, 0.2, 0.37, 0.5, 0.9])
def test_small_purchases_add_up_to_the_share(share: float) -> None:
    """One label at a time: no purchase has a fifth, and all together have."""
    made = experiment(share=share, initial=2, query=1)
    pool = new_pool(made.data, made.plan, made.seed)
    for total, ids in enumerate((made.data.train[:2], *made.data.train[2:60].split(1)), start=2):
        pool.buy(ids, made.data.labels[ids])
        assert len(pool.validation) == made.plan.set_aside(total)
        assert torch.equal(torch.cat([pool.training, pool.validation]).sort().values, pool.labelled.sort().values)
    assert abs(len(pool.validation) - share * 60) <= 0.5 or len(pool.validation) == 59


@pytest.mark.parametrize("strategy", [ENTROPY, Dfal(twins=True), Ceal(entropy, threshold=1.0)], ids=lambda s: s.name)
def test_a_purchase_that_is_for_validation_alone_adds_no_training_example(strategy: Strategy) -> None:
    """And examples that were not bought, such as pseudo-labelled ones, are never validated on."""
    run = ran(experiment(strategy, initial=4, query=1, max_rounds=6, share=0.5))
    for fit, total in zip(run.fits, range(4, 11), strict=True):
        assert len(fit.data.y) - fit.data.added == total - len(fit.data.val_y)
        assert {*ids_of(fit.data.val_x)} <= {*torch.cat(run.memory.ids).tolist()}
    assert [len(fit.data.val_y) for fit in run.fits] == [2, 2, 3, 4, 4, 4, 5]
    assert strategy is ENTROPY or any(fit.data.added for fit in run.fits)


@pytest.mark.parametrize("rounds", range(6))
@pytest.mark.parametrize("measured_less", [0, 1])
@pytest.mark.parametrize("continuing", [False, True])
def test_a_run_resumed_anywhere_equals_one_never_interrupted(rounds: int, measured_less: int, continuing: bool) -> None:
    made = experiment(ENTROPY)
    if continuing:
        made = replace(made, learner=toy.Continuing(made.learner))  # type: ignore[arg-type]
    whole, part = ran(made), toy.Memory()
    part.ids = whole.memory.ids[:rounds]
    part.rows = whole.memory.rows[: max(0, rounds - measured_less)]
    ran(made, part)
    assert part.untimed() == whole.memory.untimed()
    assert torch.equal(torch.cat(part.ids), torch.cat(whole.memory.ids))


def test_training_on_everything_sets_its_share_aside_too() -> None:
    run = ran(experiment(Full()))
    (training, validation), data = run.roles[0], toy.data_set()
    assert (len(training), len(validation)) == (64, 16)
    assert sorted([*training, *validation]) == data.train.tolist()


def test_an_image_that_a_strategy_made_is_trained_on_and_does_not_count() -> None:
    made = experiment()
    pool = new_pool(made.data, made.plan, made.seed)
    first = made.data.train[:10]
    pool.buy(first, made.data.labels[first])
    ids = pool.add(made.data.images[:20])
    pool.buy(ids, torch.zeros(20, dtype=torch.int64))
    assert (len(pool.validation), len(pool.training)) == (2, 28)
    later = made.data.train[10:20]
    pool.buy(later, made.data.labels[later])
    assert (len(pool.validation), pool.old) == (4, 28)


def test_what_will_be_set_aside_is_known_before_the_run() -> None:
    class Making(Random):
        makes_images = True  # type: ignore[assignment]

    class Judging(Simulated):
        async def judge(self, x: Tensor) -> Tensor:
            return torch.zeros(len(x), dtype=torch.int64)

    run = ran(experiment())
    assert experiment().set_aside == [len(fit.data.val_y) for fit in run.fits] == [1, 2, 3, 4, 5]
    making = experiment(Making())
    assert replace(making, oracle=Judging(making.data)).set_aside == [1] * 5
    assert experiment(share=None).set_aside == [0] * 5


def test_an_upper_line_judges_all_batches_by_the_images_that_are_set_aside_now() -> None:
    """Its trial nets are validated as the round's net would be: also on images of the batch that is tried."""
    line = LookAhead([Random(), TopScore(margin)], batches=3)
    run = ran(experiment(line, max_rounds=1))
    first, *trials, last = run.roles
    assert len(trials) == 3
    assert all(len(validation) == 2 and {*first[1]} < {*validation} for _, validation in trials)
    assert last in trials
    judged = []

    class Judging(LookAhead):
        async def query(self, fitted: Fitted, pool: Pool, n: int, streams: object) -> object:
            base = pool.foresight

            class Spy:
                async def validation(self, batches: Sequence[Tensor], *more: object) -> list:
                    outcomes = await base.validation(batches, *more)
                    judged.extend(outcome.error for outcome in outcomes)
                    return outcomes

            pool.foresight = Spy()  # type: ignore[assignment]
            return await super().query(fitted, pool, n, streams)  # type: ignore[arg-type]

    ran(experiment(Judging([Random()], batches=3), max_rounds=1))
    assert len(judged) == 3
    assert {*judged} <= {0.0, 1.0}  # of the one image that is set aside in the first round


def rows_of(experiments: Sequence[Experiment], engine: Engine) -> list[list[dict[str, float]]]:
    memories = [toy.Memory() for _ in experiments]
    tasks = [Task(made.run(memory)) for made, memory in zip(experiments, memories, strict=True)]
    drive_all(tasks, engine)
    for task in tasks:
        assert task.outcome is None
    return [memory.untimed() for memory in memories]


def test_in_lock_step_runs_of_several_shares_give_the_rows_that_they_give_alone() -> None:
    """They have equally many training examples in the first round, and 40, 3 or 4 validation examples."""
    sizes = {None: 12, 0.2: 15, 0.25: 16}
    asked = [
        experiment(seed=seed, share=share, initial=initial, query=4, max_rounds=2)
        for share, initial in sizes.items()
        for seed in range(2)
    ]
    engine = Watching()
    alone = rows_of(asked, engine)
    assert {len(fit.data.val_y) for fit in engine.fits if len(fit.data.y) == 12} == {40, 3, 4}
    for rows, others in zip(rows_of(asked, Stacked(8).train_all), alone, strict=True):
        for row, other in zip(rows, others, strict=True):
            assert row == pytest.approx(other, rel=1e-4)
