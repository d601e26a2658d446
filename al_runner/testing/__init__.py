"""Checks for strategies, also for strategies of other projects."""

from al_runner.errors import UsageError
from al_runner.strategies.base import Strategy
from al_runner.testing.case import cases
from al_runner.testing.checks import CHECKS, ContractError


def check_strategy(strategy: Strategy) -> None:
    """Check what every strategy must fulfil, on toy images, with every kind of learner that the strategy accepts.

    Raises ContractError, an AssertionError, at the first check that fails, and UsageError if the strategy accepts no
    learner. It takes seconds.
    """
    for case in cases(strategy):
        for check in CHECKS:
            try:
                check(case)
            except (ContractError, UsageError) as error:
                where = f"{strategy.name} with learner={case.learner}: {check.__name__.replace('_', ' ')}"
                raise ContractError(f"{where}: {error}") from None


__all__ = ["ContractError", "check_strategy"]
