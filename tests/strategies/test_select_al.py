"""SelectAL against a slow count by hand: what is taken away, what is trained, and who chooses."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean

import configs
import pytest
import torch
import toy
from hydra.utils import instantiate
from torch import Tensor
from torch.nn.functional import normalize

from al_runner.budget import Budget
from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train_all
from al_runner.errors import UsageError
from al_runner.learners.plain import Plain
from al_runner.loop.set_aside import new_pool
from al_runner.needs import Gives
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.strategies.badge import Badge
from al_runner.strategies.base import Strategy
from al_runner.strategies.calibrated import Calibrated, CalibratedFit
from al_runner.strategies.choice import Choice
from al_runner.strategies.clusters import clusters
from al_runner.strategies.full import Full
from al_runner.strategies.random import Random
from al_runner.strategies.select_al import (
    Repeatable,
    Repeating,
    SelectAL,
    accuracies,
    at_random,
    by_typicality,
    removed_counts,
)
from al_runner.strategies.typiclust import TypiClust
from al_runner.strategies.uherding import UHerding
from al_runner.testing.case import train_data
from al_runner.training import Fit, Trained
from al_runner.types import Fitted, TrainData
from al_runner.wrapped import WrappedFit, part_of

STREAMS = Streams(0, 1)


@dataclass(frozen=True)
class Marked(Strategy):
    """Takes candidates from one place on."""

    first: int

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        return pool.candidates_by_id[self.first : self.first + n]


THREE = SelectAL(Marked(0), Marked(10), Marked(20), removed=0.2, held_out=0.1, hold_outs=2, random_removals=3)


@dataclass
class Missing:
    """A learner whose nets are right unless all of the images `needed` are absent from their training."""

    needed: set[int]
    seen: list[tuple[list[int], Streams, object]]
    continues = False
    gives = Gives()

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> "Answers":
        keys = [key(x) for x in data.x]
        self.seen.append((keys, streams, previous))
        return Answers(not self.needed or bool(self.needed & set(keys)))


@dataclass
class Answers:
    """Predicts the true class of every toy image, or the next class."""

    right: bool
    steps = 0

    def log_probs(self, x: Tensor) -> Tensor:
        labels = torch.tensor([LABELS[key(one)] for one in x]) + (0 if self.right else 1)
        return (torch.nn.functional.one_hot(labels % 3, 3) * 50.0).log_softmax(1)[:, None]


def key(x: Tensor) -> int:
    return hash(tuple(x.flatten().tolist()))


DATA = toy.data_set()
LABELS = {key(x): int(y) for x, y in zip(DATA.images, DATA.labels, strict=True)}
POOL = toy.bought(DATA, DATA.train[:30])


def asked(strategy: SelectAL, needed: Collection[int], pool: Pool = POOL) -> tuple[Choice, Missing]:
    """The choice if the images at these positions of the labelled set are all that matters."""
    learner = Missing({key(x) for x in pool.x(pool.labelled[list(needed)])}, [])
    fitted = drive(strategy.wrap(learner).fit(train_data(pool), Streams(0, 0), None))
    learner.seen.clear()
    return drive(strategy.query(fitted, pool, 5, STREAMS)), learner


def by_hand(least: bool) -> list[int]:
    """Positions of the most or least typical image of each cluster within a class, image by image."""
    x, y = normalize(POOL.features(POOL.labelled)).double(), POOL.y(POOL.labelled)
    each = max(int(0.2 * 30) // len(set(y.tolist())), 1)
    chosen, rng = [], STREAMS("clusters")
    for label in sorted(set(y.tolist())):
        at = [place for place in range(30) if y[place] == label]
        count = min(each, len(at) - 1)
        cluster = clusters(normalize(POOL.features(POOL.labelled))[at], count, rng)[0].tolist()
        for one in range(count):
            members = [place for place, own in zip(at, cluster, strict=True) if own == one]
            near = min(20, len(members) // 2)
            values = {
                place: 1 / (fmean(sorted(float((x[place] - x[o]).norm()) for o in members if o != place)[:near]) + 1e-5)
                if near
                else 0.0
                for place in members
            }
            chosen.append((min if least else max)(members, key=values.__getitem__))
    return sorted(chosen)


def test_the_typical_and_the_atypical_images_of_a_class_are_those_of_a_slow_search() -> None:
    typical, draws, atypical = THREE.removals(POOL, STREAMS)
    assert sorted(typical[0].tolist()) == by_hand(False)
    assert sorted(atypical[0].tolist()) == by_hand(True)
    assert by_hand(False) != by_hand(True)
    counts = torch.bincount(POOL.y(POOL.labelled)[typical[0]]).tolist()
    assert all(torch.bincount(POOL.y(POOL.labelled)[draw]).tolist() == counts for draw in draws)
    assert len({frozenset(draw.tolist()) for draw in draws}) == 3


@pytest.mark.parametrize(
    ("labels", "share", "counts"),
    [
        ([0] * 40 + [2] * 20, 0.1, {0: 3, 2: 3}),  # a class without labels does not count
        ([0] * 40 + [1] * 20, 0.01, {0: 1, 1: 1}),  # at least one of each
        ([0] * 8 + [1, 1], 0.8, {0: 4, 1: 1}),  # a class keeps one
        ([0, 1, 2], 0.5, {0: 0, 1: 0, 2: 0}),
    ],
)
def test_as_many_of_each_class_are_taken_away(labels: list[int], share: float, counts: dict[int, int]) -> None:
    y = torch.tensor(labels)
    assert removed_counts(y, share) == counts
    gone = at_random(y, counts, STREAMS("removal"))
    assert len(gone.unique()) == len(gone) == sum(counts.values())
    x = torch.randn(len(y), 4, generator=torch.Generator().manual_seed(0))
    for least in (False, True):
        gone = by_typicality(x, y, counts, STREAMS("clusters"), least)
        assert len(gone.unique()) == len(gone)
        assert {label: int((y[gone] == label).sum()) for label in counts} == counts


def test_accuracies_are_those_of_nets_trained_by_hand() -> None:
    """Real nets on every removal and hold-out, one after another."""
    strategy = replace(THREE, held_out=0.4, hold_outs=3, random_removals=2)
    learner = toy.experiment(max_checks=2).learner
    fitted = drive(strategy.wrap(learner).fit(train_data(POOL), Streams(0, 0), None))
    assert isinstance(fitted, Repeatable)
    removals, holds = strategy.removals(POOL, STREAMS), strategy.holds(30, STREAMS)
    values = drive(accuracies(fitted, POOL, removals, holds, STREAMS))
    expected = []
    for draws in removals:
        single = []
        for gone, hold in product(draws, range(3)):
            out = {*gone.tolist(), *holds[hold].tolist()}
            train = torch.tensor([int(id_) for place, id_ in enumerate(POOL.labelled) if place not in out])
            data = train_data(POOL)._replace(x=DATA.images[train], y=DATA.labels[train], old=0)
            net = drive(learner.fit(data, Streams(0, 1, f"/trial {hold}"), None))
            right = [
                int(net.log_probs(POOL.x(id_[None]))[0, 0].argmax()) == int(DATA.labels[id_])
                for id_ in POOL.labelled[holds[hold]]
            ]
            single.append(fmean(right))
        expected.append(fmean(single))
    assert values == pytest.approx(expected)
    assert len(set(values)) > 1


def taken(kind: int, draw: int = 0) -> set[int]:
    """Positions of the images that are taken away in this kind of removal."""
    return {int(place) for place in THREE.removals(POOL, STREAMS)[kind][draw]}


@pytest.mark.parametrize("kind", [0, 2])
def test_the_removal_that_hurts_most_names_the_regime(kind: int) -> None:
    choice, learner = asked(THREE, taken(kind))
    assert choice.facts["regime"] == kind
    assert choice.chosen.tolist() == POOL.candidates_by_id[10 * kind : 10 * kind + 5].tolist()
    values = [choice.facts[f"accuracy_without_{name}"] for name in ("typical", "random", "atypical")]
    assert values == [0.0 if place == kind else 1.0 for place in range(3)]
    assert len(learner.seen) == (3 + 2) * 2
    assert all(previous is None for _, _, previous in learner.seen)


def test_random_images_are_judged_by_the_mean_of_their_draws() -> None:
    choice, _ = asked(THREE, taken(1, draw=1))
    assert choice.facts["regime"] == 1
    assert choice.facts["accuracy_without_random"] == pytest.approx(2 / 3)
    assert choice.chosen.tolist() == POOL.candidates_by_id[10:15].tolist()


def test_nets_of_a_hold_out_draw_from_the_same_streams_and_never_see_it() -> None:
    _, learner = asked(THREE, [])
    holds = [{key(x) for x in POOL.x(POOL.labelled[hold])} for hold in THREE.holds(30, STREAMS)]
    assert holds[0] != holds[1]
    for place, (keys, streams, _) in enumerate(learner.seen):
        assert streams == Streams(0, 1, f"/trial {place % 2}")
        assert not holds[place % 2] & set(keys)


def test_nets_on_trial_are_never_trained_or_judged_on_images_that_are_set_aside() -> None:
    """The trial nets' own training is validated on them (budget.val_share)."""
    pool = new_pool(DATA, Budget(initial=30, query=5, val_share=0.2), seed=0)
    pool.buy(DATA.train[:30], DATA.labels[DATA.train[:30]])
    _, learner = asked(THREE, [], pool)
    training = {key(x) for x in pool.x(pool.training)}
    assert (len(training), len(learner.seen)) == (24, (3 + 2) * 2)
    assert all({*keys} < training for keys, _, _ in learner.seen)


def test_chance_breaks_ties() -> None:
    regimes = set()
    for seed in range(20):
        fitted = drive(THREE.wrap(Missing(set(), [])).fit(train_data(POOL), Streams(0, 0), None))
        regimes.add(drive(THREE.query(fitted, POOL, 5, Streams(seed, 1))).facts["regime"])
    assert regimes == {0, 1, 2}


@pytest.mark.parametrize("labelled", [1, 3])
def test_with_too_few_labels_the_first_chooses(labelled: int) -> None:
    """One image of each class: nothing can be taken away."""
    ids = torch.stack([DATA.train[DATA.labels[DATA.train] == label][0] for label in range(3)])[:labelled]
    choice, learner = asked(THREE, [], toy.bought(DATA, ids))
    assert (choice.facts, learner.seen) == ({"regime": 0}, [])


def test_two_images_are_left_to_train_on() -> None:
    """Of three images of one class, one is taken away and one held out, so one would be left."""
    ids = DATA.train[DATA.labels[DATA.train] == 0]
    assert asked(THREE, [], toy.bought(DATA, ids[:3]))[1].seen == []
    assert {len(keys) for keys, _, _ in asked(THREE, [], toy.bought(DATA, ids[:4]))[1].seen} <= {2, 3}


def test_facts_of_the_choosing_strategy_are_kept() -> None:
    @dataclass(frozen=True)
    class Telling(Marked):
        async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Choice:
            return Choice(self.select(fitted, pool, n, streams("query")), {"told": 7.0})

    choice, _ = asked(replace(THREE, low=Telling(0)), taken(0))
    assert (choice.facts["told"], choice.facts["regime"]) == (7.0, 0)


def test_all_nets_are_asked_for_at_once() -> None:
    asks: list[int] = []

    def engine(fits: Sequence[Fit]) -> Sequence[Trained | Exception]:
        asks.append(len(fits))
        return train_all(fits)

    strategy = replace(THREE, held_out=0.05, hold_outs=1)
    fitted = drive(strategy.wrap(toy.experiment(max_checks=1).learner).fit(train_data(POOL), Streams(0, 0), None))
    drive(strategy.query(fitted, POOL, 5, STREAMS), engine)
    assert sum(asks) == 5
    assert max(asks) >= 3  # fits of equal size go together


def test_the_round_before_is_unwrapped() -> None:
    learner = Missing(set(), [])
    first = drive(Repeating(learner).fit(train_data(POOL), Streams(0, 0), None))
    drive(Repeating(learner).fit(train_data(POOL), Streams(0, 1), first))
    assert learner.seen[1][2] is first.fitted


def test_a_part_of_a_fit_is_found_through_others() -> None:
    inner = CalibratedFit(Answers(True), 2.0)
    outer = WrappedFit(WrappedFit(inner))
    assert part_of(outer, CalibratedFit) is inner
    assert part_of(outer, WrappedFit) is outer
    assert part_of(outer, Repeatable) is None


def test_the_order_of_the_candidates_does_not_matter() -> None:
    turned = toy.bought(DATA, DATA.train[:30])
    turned.candidates = turned.candidates.flip(0)
    one = replace(THREE, low=Random())
    choices = [asked(one, taken(0), pool)[0].chosen.tolist() for pool in (POOL, turned)]
    assert choices[0] == choices[1]
    assert turned.candidates.tolist() == POOL.candidates.flip(0).tolist()  # it changes nothing of the pool


def test_it_is_what_its_three_strategies_are() -> None:
    strategy = instantiate(configs.composed("strategy=select_al").strategy)
    assert strategy == SelectAL(TypiClust(), Random(), Badge())
    assert strategy.needs == Badge().needs and strategy.draws and not strategy.foresees
    learner = Plain(toy.experiment().learner.build, toy.recipe())
    wrapped = SelectAL(UHerding(), Random(), Badge()).wrap(learner)
    assert wrapped == Repeating(Calibrated(learner, UHerding().held_out))


def test_it_needs_a_learner_and_strategies_that_choose() -> None:
    with pytest.raises(UsageError, match=r"SelectAL trains nets on parts of the labelled set; use al_runner\.run"):
        drive(THREE.query(Answers(True), POOL, 5, STREAMS))
    for option in ("low", "middle", "high"):
        with pytest.raises(UsageError, match=rf"strategy\.{option} can't be Full"):
            replace(THREE, **{option: Full()})
