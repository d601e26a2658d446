"""Checks for strategies, also for those of other projects."""

from al_runner.strategies.base import Strategy
from al_runner.testing.case import cases
from al_runner.testing.checks import CHECKS, ContractError


def check_strategy(strategy: Strategy) -> None:
    """Hold a strategy to what every strategy must hold, on toy images, with every kind of learner that it accepts.

    ContractError, an AssertionError, at the first thing that does not hold; UsageError where it accepts no learner.
    Takes seconds.
    """
    for case in cases(strategy):
        for check in CHECKS:
            try:
                check(case)
            except ContractError as error:
                where = f"{strategy.name} with learner={case.learner}: {check.__name__.replace('_', ' ')}"
                raise ContractError(f"{where}: {error}") from None


__all__ = ["ContractError", "check_strategy"]
