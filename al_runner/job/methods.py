"""Checks that parts have the methods that a run will call, before any training."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any, cast

from torch import nn

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.loop.stopping import COLUMN, Stopping, called
from al_runner.needs import Gives, Needs
from al_runner.record.loggers import Logger
from al_runner.strategies.base import ByScore, Strategy
from al_runner.system.text import one_line
from al_runner.types import Learner

# How a run calls the methods of a strategy, of a learner, of a stopping rule and of a logger.
QUERY = "async def query(self, fitted, pool, n, streams)"
SELECT = "def select(self, fitted, pool, n, rng)"
SCORES = "def scores(self, fitted, pool, ids, rng)"
PLAN, WRAP, CHECK = "def plan(self, budget)", "def wrap(self, learner)", "def check(self, net, x)"
FIT = "async def fit(self, data, streams, previous)"
SAID, ENDED = "def said(self, kappas, uncertainty, errors)", "def ended(self, record)"
WRITE, CLOSE = "def write(self, row)", "def close(self, whole)"
LEARNERS = "derive its class from Plain of al_runner.learners.plain"


def require_strategy(made: object, who: str) -> Strategy:
    """The strategy that `who`, such as `strategy=badge`, made. Raises UsageError if it can't choose."""
    kind = type(made).__name__
    if not isinstance(made, Strategy):
        raise UsageError(
            f"{who} makes a {kind}, which is no strategy; derive its class from Strategy or ByScore of "
            "al_runner.strategies.base"
        )
    for call in (QUERY, SELECT, PLAN, WRAP, CHECK, *[SCORES] * isinstance(made, ByScore)):
        require_method(made, call, who)
    if not isinstance(made.needs, Needs):
        raise UsageError(
            f"{who}: {kind}.needs is {made.needs!r}; write needs = Needs(network=True), or what else it needs, with "
            "Needs of al_runner.needs"
        )
    return made.called(who)


def require_changes(strategy: Strategy, budget: Budget, learner: Learner) -> None:
    """Raises UsageError if a strategy's `plan` gives no budget, or its `wrap` no learner."""
    plan, wrapped = strategy.plan(budget), strategy.wrap(learner)
    own = f"{strategy.name}: {type(strategy).__name__}"
    if not isinstance(plan, Budget):
        raise UsageError(f"{own}.plan returned {type(plan).__name__}; return the budget, as it is given or changed")
    if lacking(wrapped):
        raise UsageError(f"{own}.wrap returned {type(wrapped).__name__}; return the learner, as it is given or wrapped")


def lacking(learner: object) -> list[str]:
    """The names of what a learner must have, and this one has not."""
    return [name for name in ("gives", "continues", "fit") if not hasattr(learner, name)]


def require_queries(strategy: Strategy, purchases: Sequence[int]) -> None:
    """Raises UsageError if a strategy without queries must choose what is bought after the initial set."""
    if len(purchases) > 1 and not strategy.queries:
        kind = type(strategy).__name__
        needed = SCORES if isinstance(strategy, ByScore) else SELECT
        raise UsageError(f"{strategy.name} chooses nothing, because {kind} has no method of its own; write {needed}")


def require_learner(make: Callable[..., Any], build: Callable[[], nn.Module], who: str) -> Learner:
    """The learner that `who`, such as `learner=plain`, makes with a net's builder. Raises UsageError if it is none."""
    try:
        learner = make(build=build)
    except TypeError as error:
        raise UsageError(f"{who}: {one_line(error)}; a learner is made with build=, which makes a net") from error
    kind, missing = type(learner).__name__, lacking(learner)
    if missing:
        raise UsageError(f"{who} makes a {kind}, which has no {' and no '.join(missing)}; {LEARNERS}, or add them")
    if not isinstance(learner.gives, Gives):
        raise UsageError(f"{who}: {kind}.gives is {learner.gives!r}; write gives = Gives(...) of al_runner.needs")
    require_method(learner, FIT, who)
    return cast(Learner, learner)


def require_stopping(made: object, who: str) -> Stopping:
    """The rules that `who`, such as `stopping=plateau`, made. Raises UsageError if they can't be recorded or obeyed."""
    kind = type(made).__name__
    if not isinstance(made, Stopping):
        raise UsageError(
            f"{who} makes a {kind}, which has no rules; derive its class from Stopping of {Stopping.__module__}"
        )
    for call in (SAID, ENDED):
        require_method(made, call, who)
    with called(made, "said"):
        rules: Any = made.said([nan], nan, [0.5])  # as in the first round
    wanted = {COLUMN.format(made.obey)} if made.obey else set()
    numbers = isinstance(rules, Mapping) and all(
        isinstance(flag, int | float) and flag in (0, 1) for flag in rules.values()
    )
    if not numbers or not wanted <= {*cast(Mapping[str, float], rules)}:
        raise UsageError(
            f"{who}: {kind}.said gives {rules!r}; it must give 1.0 (stop) or 0.0 for every rule, as in "
            f"{{'{COLUMN.format(made.obey or 'plateau')}': 0.0}}"
        )
    return made


def require_logger(make: Callable[..., Any], folder: Path, settings: Mapping[str, Any], who: str) -> Logger:
    """The logger that `who`, such as `logger=mlflow`, makes for the run in a folder.

    Raises UsageError if it can't be made, or lacks a method.
    """
    try:
        logger = make(folder=folder, settings=settings)
    except TypeError as error:
        raise UsageError(
            f"{who}: {one_line(error)}; a logger is made with folder= and settings=, and its YAML has _partial_: true"
        ) from error
    for call in (WRITE, CLOSE):
        require_method(logger, call, who)
    return cast(Logger, logger)


def require_method(part: object, call: str, who: str) -> None:
    """Raises UsageError if the method of a part can't be called as `call`, its first line, says."""
    start, _, arguments = call.removesuffix(")").partition("(self, ")
    name = start.rpartition(" ")[2]
    method: Any = getattr(part, name, None)
    fits = inspect.iscoroutinefunction(inspect.unwrap(method)) == call.startswith("async")
    try:
        inspect.signature(method).bind(*arguments.split(", "))
    except TypeError:
        fits = False
    if not fits:
        raise UsageError(f"{who}: {type(part).__name__}.{name} can't be called as the run calls it; write {call}")
