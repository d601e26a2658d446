"""What every strategy must hold, whatever it computes: a check a function, ContractError where a case fails it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from al_runner.learners.checked import CheckedFit
from al_runner.learners.committee import Committee
from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.testing import toy
from al_runner.testing.case import (
    BUILD,
    LEARNERS,
    Case,
    Certain,
    accepts,
    bought,
    diverged,
    equal_images,
    in_double,
    normed,
    other_labels,
    other_test_images,
    untrained,
)
from al_runner.types import DataSet, Fitted, Unfitted

SEEDS = 6  # streams that a choice is looked at under
LARGE = 2400  # images of a data set, so that what is drawn from the pool is part of it alone


class ContractError(AssertionError):
    """A strategy does not hold what every strategy must."""


def require(holds: bool, message: str) -> None:
    """ContractError of this message unless it holds."""
    if not holds:
        raise ContractError(message)


Check = Callable[[Case], None]


def chooses_distinct_candidates(case: Case) -> None:
    """As many different ids as were asked for, all of them candidates."""
    for n in (1, 7, 40):
        pool = bought(toy.data_set())
        chosen = case.query(case.fitted, pool, n)
        require(len(set(chosen)) == n == len(chosen), f"{n} different ids were asked for, it chose {chosen}")
        strangers = set(chosen) - set(pool.candidates.tolist())
        require(not strangers, f"it chose {strangers}, which are not ids in pool.candidates (not positions in it)")


def can_take_the_whole_pool(case: Case) -> None:
    """A query of all candidates gets all candidates."""
    pool = bought(toy.data_set())
    pool.draw_candidates(len(pool.unlabelled), torch.Generator())
    chosen = case.query(case.fitted, pool, len(pool.unlabelled))
    require(sorted(chosen) == pool.unlabelled.tolist(), f"asked for all {len(pool.unlabelled)} candidates: {chosen}")


def repeats_its_choice(case: Case) -> None:
    """The same random stream, the same choice."""
    for data in (toy.data_set(), equal_images(toy.data_set())):
        chosen = [case.query(case.fitted, bought(data), 7) for _ in range(2)]
        require(chosen[0] == chosen[1], f"the same random stream gave {chosen[0]} and then {chosen[1]}")


def draws_if_it_says_so(case: Case) -> None:
    """Where images differ, where all are equal, and where the pool is large."""
    small, large = toy.data_set(), toy.data_set(LARGE)
    draws = any(depends_on_stream(case, data) for data in (small, equal_images(small), large, equal_images(large)))
    require(case.strategy.draws or not draws, "it declares draws=False, but another random stream chose otherwise")
    require(draws or not case.strategy.draws, "it declares draws=True, but every random stream made the same choice")


def depends_on_stream(case: Case, data: DataSet) -> bool:
    """Whether one of several random streams makes another choice than the first."""
    choices = (sorted(case.query(case.fitted, bought(data), 7, seed)) for seed in range(SEEDS))
    first = next(choices)
    return any(choice != first for choice in choices)


def sees_no_label_it_has_not_bought(case: Case) -> None:
    """Other hidden labels make no difference."""
    chosen = [case.query(case.fitted, bought(data), 7) for data in (toy.data_set(), other_labels())]
    require(chosen[0] == chosen[1], f"with other hidden labels it chose {chosen[1]} in place of {chosen[0]}")


def sees_no_test_or_validation_image(case: Case) -> None:
    """Other test and validation images make no difference."""
    chosen = [case.query(case.fitted, bought(data), 7) for data in (toy.data_set(), other_test_images())]
    require(chosen[0] == chosen[1], f"with other test images it chose {chosen[1]} in place of {chosen[0]}")


def ignores_the_order_of_the_candidates(case: Case) -> None:
    """Unless it draws without a look at the fit: a random choice of positions is as good as one of ids."""
    watched, pool = Watched(case.fitted), bought(toy.data_set())
    first = case.query(cast(Fitted, watched), pool, 7)
    pool.candidates = pool.candidates.flip(0)
    second = case.query(case.fitted, pool, 7)
    if watched.asked or not case.strategy.draws:
        require(first == second, f"with the candidates in another order it chose {second} in place of {first}")


def leaves_the_net_as_it_is(case: Case) -> None:
    """Weights, statistics, gradients, modes and torch's own random numbers stay as they were."""
    for fitted in (case.fitted, case.fit(normed, untrained)):
        net = nn.ModuleList(nets(fitted))
        before = {name: value.clone() for name, value in net.state_dict().items()}
        state = torch.random.get_rng_state()
        case.query(fitted, bought(toy.data_set()), 7)
        changed = [name for name, value in net.state_dict().items() if not torch.equal(value, before[name])]
        require(not changed, f"it changed the net's {changed}")
        require(not any(part.training for own in nets(fitted) for part in own.modules()), "it left training mode on")
        require(all(weight.grad is None for weight in net.parameters()), "it left gradients behind")
        same = torch.equal(torch.random.get_rng_state(), state)
        require(same, "it drew from torch's global random numbers; draw from its own stream")


def stands_predictions_of_probability_1(case: Case) -> None:
    """A net that is certain, whose gradients are 0, is no trouble."""
    chosen = case.query(case.fit(Certain, untrained), bought(toy.data_set()), 7)
    require(len(set(chosen)) == 7, f"7 ids were asked for, it chose {chosen}")


def takes_no_nan_for_an_answer(case: Case) -> None:
    """ArithmeticError where the net computes NaN, if the net is asked at all."""
    watched = Watched(case.fit(diverged, untrained))
    try:
        case.query(cast(Fitted, watched), bought(toy.data_set()), 7)
    except ArithmeticError as error:
        require("NaN" in str(error), f"the error on a net that computes NaN says nothing of NaN: {error}")
    else:
        require(not watched.asked, "it took what a net that computes NaN says for an answer; raise ArithmeticError")


def stands_images_that_are_all_alike(case: Case) -> None:
    """Equal images are no trouble."""
    chosen = case.query(case.fitted, bought(equal_images(toy.data_set())), 7)
    require(len(set(chosen)) == 7, f"7 ids were asked for, it chose {chosen}")


def chooses_alike_in_single_and_double_precision(case: Case) -> None:
    """Rounding makes no difference where nothing is a tie."""
    double = case.fit(BUILD, in_double)
    chosen = [case.query(fitted, bought(toy.data_set()), 7) for fitted in (case.fitted, double)]
    require(chosen[0] == chosen[1], f"in double precision it chose {chosen[1]} in place of {chosen[0]}")


def buys_whole_sets_if_it_says_so(case: Case) -> None:
    """With `chooses_sets`, a query is a row of `pool.sets`."""
    if case.strategy.chooses_sets:
        pool = bought(toy.data_set())
        pool.offer(pool.candidates[:36].view(9, 4))
        chosen = case.query(case.fitted, pool, 4)
        require(chosen in pool.sets.tolist(), f"it declares chooses_sets, but {chosen} is no row of pool.sets")


def chooses_from_nothing_if_it_says_so(case: Case) -> None:
    """With `without_fit`, the fit is not asked, and a pool of which nothing was bought will do."""
    if case.strategy.without_fit:
        pool = Pool(toy.data_set())
        chosen = case.query(Unfitted(), pool, 7)
        known = set(pool.candidates.tolist())
        require(len(set(chosen) & known) == 7 == len(chosen), f"from an empty labelled set it chose {chosen}")
        case.query(Unfitted(), bought(toy.data_set()), 7)


def asks_only_what_it_declares(case: Case) -> None:
    """With every learner that it accepts by its declaration."""
    for name in LEARNERS:
        if accepts(case.strategy, name):
            other = Case(case.strategy, name)
            chosen = case.query(Declared(other.fitted, case.strategy.needs), bought(toy.data_set()), 3)
            require(len(set(chosen)) == 3, f"with learner={name}, 3 ids were asked for, it chose {chosen}")


class Watched:
    """Passes on what a fit is asked, and tells whether it was asked anything."""

    def __init__(self, fitted: Fitted):
        self._fitted, self.asked = fitted, False

    def __getattr__(self, name: str) -> object:
        self.asked = True
        return getattr(self._fitted, name)


@dataclass(frozen=True)
class Declared:
    """A fit that gives its predictions, and beside them only what a strategy declared that it needs."""

    fitted: Fitted
    needs: Needs

    @property
    def steps(self) -> int:
        return self.fitted.steps

    def log_probs(self, x: Tensor) -> Tensor:
        return self.fitted.log_probs(x)

    def features(self, x: Tensor) -> Tensor:
        require(self.needs.features, "it asks for features; declare needs = Needs(features=True)")
        return self.fitted.features(x)

    def network(self) -> nn.Module:
        require(self.needs.network, "it asks for network(); declare needs = Needs(network=True)")
        return self.fitted.network()


def nets(fitted: Fitted) -> list[nn.Module]:
    """All nets behind a fit."""
    inner = fitted.fitted if isinstance(fitted, CheckedFit) else fitted
    return list(inner.nets) if isinstance(inner, Committee) else [inner.network()]


CHECKS: tuple[Check, ...] = (
    chooses_distinct_candidates,
    can_take_the_whole_pool,
    repeats_its_choice,
    draws_if_it_says_so,
    sees_no_label_it_has_not_bought,
    sees_no_test_or_validation_image,
    ignores_the_order_of_the_candidates,
    leaves_the_net_as_it_is,
    stands_predictions_of_probability_1,
    takes_no_nan_for_an_answer,
    stands_images_that_are_all_alike,
    chooses_alike_in_single_and_double_precision,
    buys_whole_sets_if_it_says_so,
    chooses_from_nothing_if_it_says_so,
    asks_only_what_it_declares,
)
