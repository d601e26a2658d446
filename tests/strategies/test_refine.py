"""REFINE: what stays in the pool, level by level, and who chooses at the end."""

from dataclasses import dataclass, replace

import configs
import pytest
import torch
import toy
from hydra.utils import instantiate
from torch import Tensor

from al_runner.budget import Budget
from al_runner.engine.drive import drive
from al_runner.errors import UsageError
from al_runner.pool import Pool, shuffled
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.strategies.full import Full
from al_runner.strategies.gaal import Gaal
from al_runner.strategies.random import Random
from al_runner.strategies.refine import Refine
from al_runner.strategies.uherding import UHerding
from al_runner.testing.case import pool_of
from al_runner.types import Fitted, Unfitted


@dataclass(frozen=True)
class Lowest(Strategy):
    """Takes the lowest ids, or the highest ones, and notes what it may choose from."""

    seen: list[set[int]]
    highest: bool = False

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        assert torch.equal(pool.unlabelled, pool.candidates.sort().values)
        self.seen.append({*pool.candidates.tolist()})
        return pool.candidates.sort(descending=self.highest).values[:n]


@dataclass(frozen=True)
class Few(Lowest):
    """Can choose from 7 images at most."""

    def plan(self, budget: Budget) -> Budget:
        return budget.choosing_from(7)


def numbers(ids: Tensor) -> set[int]:
    return {int(number) for number in ids}


def by_hand(low: bool, ids: set[int], n: int) -> list[int]:
    return sorted(ids, reverse=not low)[:n]


def test_every_level_keeps_the_union_of_what_was_proposed() -> None:
    """Two levels of four batches, done again with plain sets; the draws are those of the named streams."""
    seen: list[set[int]] = []
    last: list[set[int]] = []
    strategy = Refine([Lowest(seen), Lowest(seen, highest=True)], Lowest(last), levels=2, batches=4, first=12, part=0.5)
    pool = pool_of(toy.data_set())
    chosen = drive(strategy.query(Unfitted(), pool, 5, Streams(0, 1)))
    left, size, drawn = numbers(pool.candidates), 12, []
    for level in range(2):
        union: set[int] = set()
        for place in range(4):
            rng = Streams(0, 1, f"/level {level}/batch {place}")("part")
            drawn.append(numbers(shuffled(torch.tensor(sorted(left)), rng)[: max(5, size)]))
            union |= {*by_hand(place % 2 == 0, drawn[-1], 5)}
        left, size = union, int(0.5 * len(union))
    assert seen == drawn
    assert [len(part) for part in drawn[:4]] == [12] * 4
    assert last == [left]
    assert sorted(chosen.tolist()) == by_hand(True, left, 5)


def test_no_more_is_left_than_is_allowed() -> None:
    last: list[set[int]] = []
    strategy = Refine([Random()], Lowest(last), levels=1, batches=6, most=9)
    drive(strategy.query(Unfitted(), pool_of(toy.data_set()), 5, Streams(0, 1)))
    assert len(last[0]) == 9
    strategy = Refine([Random()], Lowest(last), levels=1, batches=6, most=2)
    drive(strategy.query(Unfitted(), pool_of(toy.data_set()), 5, Streams(0, 1)))
    assert len(last[1]) == 5  # what is bought must be left


def test_the_pool_itself_does_not_change() -> None:
    pool = pool_of(toy.data_set())
    before = pool.candidates.clone(), pool.unlabelled.clone()
    drive(Refine([Random()], Random(), batches=2).query(Unfitted(), pool, 5, Streams(0, 1)))
    assert torch.equal(pool.candidates, before[0])
    assert torch.equal(pool.unlabelled, before[1])


def test_the_preset_calibrates_once() -> None:
    strategy = instantiate(configs.composed("strategy=refine").strategy)
    assert len(strategy.proposers) == 9
    assert strategy.last == strategy.proposers[-1] == UHerding()
    learner = toy.experiment().learner
    assert strategy.wrap(learner) == UHerding().wrap(learner)
    assert strategy.needs.network and strategy.needs.features


def test_what_a_proposer_can_bear_limits_its_parts_and_not_the_pool() -> None:
    """The published code draws every part of level 1 from the whole pool."""
    budget = toy.experiment().budget
    preset = instantiate(configs.composed("strategy=refine").strategy)
    assert any(one.plan(budget).candidate_count == 10_000 for one in preset.proposers)
    assert preset.plan(budget) == budget
    seen: list[set[int]] = []
    strategy = Refine([Few(seen), Random()], Random(), levels=2, batches=4, first=30, part=1.0)
    assert strategy.plan(budget) == budget
    drive(strategy.query(Unfitted(), pool_of(toy.data_set()), 5, Streams(0, 1)))
    assert [len(part) for part in seen] == [7] * 4
    assert len(set.union(*seen[:2])) > 7
    assert Refine([Random()], Few(seen)).plan(budget).candidate_count == 7
    with pytest.raises(UsageError, match="max_candidates is 7"):
        strategy.plan(replace(budget, query=8))


@pytest.mark.parametrize("strategy", [Full(), Gaal], ids=["full", "gaal"])
def test_strategies_that_choose_no_images_are_refused(strategy: object) -> None:
    made = strategy if isinstance(strategy, Strategy) else instantiate(configs.composed("strategy=gaal").strategy)
    with pytest.raises(UsageError, match=r"strategy\.proposers can't be"):
        Refine([Random(), made], Random())
    with pytest.raises(UsageError, match=r"strategy\.last can't be"):
        Refine([Random()], made)
