"""The contract of all strategies: one function for each check, which raises ContractError if a case fails it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from al_runner.learners.committee import networks
from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.testing import toy
from al_runner.testing.case import (
    BUILD,
    LEARNERS,
    Case,
    Certain,
    accepts,
    diverged,
    equal_images,
    in_double,
    normed,
    other_labels,
    other_test_images,
    pool_of,
    untrained,
)
from al_runner.types import DataSet, Fitted, Unfitted
from al_runner.wrapped import WrappedFit

SEEDS = 6  # random streams with which a choice is repeated
LARGE = 2400  # images in a large data set, so that a strategy that draws images draws only a part of the pool


class ContractError(AssertionError):
    """A strategy breaks the contract of all strategies."""


def require(holds: bool, message: str) -> None:
    """Raises ContractError with this message unless `holds`."""
    if not holds:
        raise ContractError(message)


Check = Callable[[Case], None]


def chooses_distinct_candidates(case: Case) -> None:
    """The choice has as many different ids as were asked for, and all are candidates."""
    for n in (1, 7, 40):
        pool = pool_of(toy.data_set())
        chosen = case.query(case.fitted, pool, n)
        require(len(set(chosen)) == n == len(chosen), f"{n} different ids were asked for, it chose {chosen}")
        strangers = set(chosen) - set(pool.candidates.tolist())
        require(not strangers, f"it chose {strangers}, which are not ids in pool.candidates (not positions in it)")


def can_choose_the_whole_pool(case: Case) -> None:
    """A query for all candidates returns all of them."""
    pool = pool_of(toy.data_set())
    pool.draw_candidates(len(pool.unlabelled), torch.Generator())
    chosen = case.query(case.fitted, pool, len(pool.unlabelled))
    require(sorted(chosen) == pool.unlabelled.tolist(), f"asked for all {len(pool.unlabelled)} candidates: {chosen}")


def repeats_its_choice(case: Case) -> None:
    """The same random stream gives the same choice."""
    for data in (toy.data_set(), equal_images(toy.data_set())):
        chosen = [case.query(case.fitted, pool_of(data), 7) for _ in range(2)]
        require(chosen[0] == chosen[1], f"the same random stream gave {chosen[0]} and then {chosen[1]}")


def draws_as_declared(case: Case) -> None:
    """`draws` says whether the random stream can change the choice: in a small or large pool, or of equal images."""
    small, large = toy.data_set(), toy.data_set(LARGE)
    draws = any(depends_on_stream(case, data) for data in (small, equal_images(small), large, equal_images(large)))
    require(case.strategy.draws or not draws, "it declares draws=False, but random streams made different choices")
    require(draws or not case.strategy.draws, "it declares draws=True, but every random stream made the same choice")


def depends_on_stream(case: Case, data: DataSet) -> bool:
    """Whether at least one of several random streams gives another choice than the first."""
    choices = (sorted(case.query(case.fitted, pool_of(data), 7, seed)) for seed in range(SEEDS))
    first = next(choices)
    return any(choice != first for choice in choices)


def uses_no_hidden_label(case: Case) -> None:
    """Other hidden labels give the same choice."""
    chosen = [case.query(case.fitted, pool_of(data), 7) for data in (toy.data_set(), other_labels())]
    require(chosen[0] == chosen[1], f"with other hidden labels it chose {chosen[1]}, not {chosen[0]}")


def uses_no_test_or_validation_image(case: Case) -> None:
    """Other test and validation images give the same choice."""
    chosen = [case.query(case.fitted, pool_of(data), 7) for data in (toy.data_set(), other_test_images())]
    require(chosen[0] == chosen[1], f"with other test images it chose {chosen[1]}, not {chosen[0]}")


def ignores_the_order_of_the_candidates(case: Case) -> None:
    """The order does not matter, unless the strategy draws without the fit: drawing positions is as good as ids."""
    watched, pool = Watched(case.fitted), pool_of(toy.data_set())
    first = case.query(cast(Fitted, watched), pool, 7)
    pool.candidates = pool.candidates.flip(0)
    second = case.query(case.fitted, pool, 7)
    if watched.asked or not case.strategy.draws:
        require(first == second, f"with the candidates in another order it chose {second}, not {first}")


def leaves_the_net_unchanged(case: Case) -> None:
    """Weights, statistics, gradients, modes and torch's own random numbers stay as they were."""
    for fitted in (case.fitted, case.fit(normed, untrained)):
        nets = networks(fitted)
        net = nn.ModuleList(nets)
        before = {name: value.clone() for name, value in net.state_dict().items()}
        state = torch.random.get_rng_state()
        case.query(fitted, pool_of(toy.data_set()), 7)
        changed = [name for name, value in net.state_dict().items() if not torch.equal(value, before[name])]
        require(not changed, f"it changed the net's {changed}")
        require(not any(part.training for own in nets for part in own.modules()), "it left a net in training mode")
        require(all(weight.grad is None for weight in net.parameters()), "it left gradients behind")
        same = torch.equal(torch.random.get_rng_state(), state)
        require(same, "it drew from torch's global random numbers; draw from the query's own stream")


def accepts_predictions_of_probability_1(case: Case) -> None:
    """A net that is certain, so that its gradients are 0, causes no error."""
    chosen = case.query(case.fit(Certain, untrained), pool_of(toy.data_set()), 7)
    require(len(set(chosen)) == 7, f"7 ids were asked for, it chose {chosen}")


def raises_an_error_if_the_net_gives_nan(case: Case) -> None:
    """If the net gives NaN, the strategy raises ArithmeticError, unless it does not use the net."""
    watched = Watched(case.fit(diverged, untrained))
    try:
        case.query(cast(Fitted, watched), pool_of(toy.data_set()), 7)
    except ArithmeticError as error:
        named = "NaN" in str(error) or "not finite" in str(error)  # the latter if the strategy trains such a net itself
        require(named, f"the error for a net that gives NaN does not mention NaN: {error}")
    else:
        require(not watched.asked, "it made a choice with a net that gives NaN; raise ArithmeticError instead")


def accepts_equal_images(case: Case) -> None:
    """A data set in which all images are equal causes no error."""
    chosen = case.query(case.fitted, pool_of(equal_images(toy.data_set())), 7)
    require(len(set(chosen)) == 7, f"7 ids were asked for, it chose {chosen}")


def chooses_the_same_in_single_and_double_precision(case: Case) -> None:
    """Rounding does not change the choice if there are no ties."""
    double = case.fit(BUILD, in_double)
    chosen = [case.query(fitted, pool_of(toy.data_set()), 7) for fitted in (case.fitted, double)]
    require(chosen[0] == chosen[1], f"in double precision it chose {chosen[1]}, not {chosen[0]}")


def chooses_whole_sets_as_declared(case: Case) -> None:
    """If the strategy declares `chooses_sets`, its choice is a row of `pool.sets`."""
    if case.strategy.chooses_sets:
        pool = pool_of(toy.data_set())
        pool.offer(pool.candidates[:36].view(9, 4))
        chosen = case.query(case.fitted, pool, 4)
        require(chosen in pool.sets.tolist(), f"it declares chooses_sets, but {chosen} is not a row of pool.sets")


def chooses_from_nothing_as_declared(case: Case) -> None:
    """If it declares `without_fit`, it does not ask the fit, and can choose when nothing was bought yet."""
    if case.strategy.without_fit:
        pool = Pool(toy.data_set())
        chosen = case.query(Unfitted(), pool, 7)
        known = set(pool.candidates.tolist())
        require(len(set(chosen) & known) == 7 == len(chosen), f"from an empty labelled set it chose {chosen}")
        case.query(Unfitted(), pool_of(toy.data_set()), 7)


def asks_only_for_what_it_declares(case: Case) -> None:
    """With every learner that the strategy accepts, it asks the fit only for what its `needs` declare."""
    for name in LEARNERS:
        if accepts(case.strategy, name):
            other = Case(case.strategy, name)
            chosen = case.query(Declared(other.fitted, case.strategy.needs), pool_of(toy.data_set()), 3)
            require(len(set(chosen)) == 3, f"with learner={name}, 3 ids were asked for, it chose {chosen}")


class Watched:
    """A fit that records whether its net was asked for anything."""

    def __init__(self, fitted: Fitted):
        self.fitted, self.asked = fitted, False

    def __getattr__(self, name: str) -> object:
        self.asked |= name in ("log_probs", "features", "network")
        return getattr(self.fitted, name)


@dataclass(frozen=True)
class Declared(WrappedFit):
    """A fit that gives its predictions, and otherwise only what a strategy declared in `needs`."""

    needs: Needs

    def features(self, x: Tensor) -> Tensor:
        require(self.needs.features, "it asks for features; declare needs = Needs(features=True)")
        return super().features(x)

    def network(self) -> nn.Module:
        require(self.needs.network, "it asks for network(); declare needs = Needs(network=True)")
        return super().network()


CHECKS: tuple[Check, ...] = (
    chooses_distinct_candidates,
    can_choose_the_whole_pool,
    repeats_its_choice,
    draws_as_declared,
    uses_no_hidden_label,
    uses_no_test_or_validation_image,
    ignores_the_order_of_the_candidates,
    leaves_the_net_unchanged,
    accepts_predictions_of_probability_1,
    raises_an_error_if_the_net_gives_nan,
    accepts_equal_images,
    chooses_the_same_in_single_and_double_precision,
    chooses_whole_sets_as_declared,
    chooses_from_nothing_as_declared,
    asks_only_for_what_it_declares,
)
