"""Checks for strategies, also for strategies of other projects."""

from al_runner.errors import UsageError
from al_runner.strategies.base import Strategy
from al_runner.testing.case import cases
from al_runner.testing.checks import CHECKS, ContractError


def check_strategy(strategy: Strategy) -> None:
    """Check what every strategy must fulfil, on toy images, with every kind of learner that the strategy accepts.

    Raises ContractError, an AssertionError, at the first check that fails, and UsageError if the strategy accepts no
    learner. It takes seconds. Scores that are NaN although the net is sound fail the check that met them.
    """
    for case in cases(strategy):
        for check in CHECKS:
            where = f"{strategy.name} with learner={case.learner}: {check.__name__.replace('_', ' ')}"
            try:
                check(case)
            except (ContractError, UsageError) as error:
                raise ContractError(f"{where}: {error}") from None
            except ArithmeticError as error:  # only a net that gives NaN may cause one, and that check expects it
                raise ContractError(f"{where}: with a sound net it raised {type(error).__name__}: {error}") from error


__all__ = ["ContractError", "check_strategy"]
