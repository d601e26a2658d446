"""Batches that other strategies propose, each from a random part of the candidates."""

from collections.abc import Sequence

from torch import Tensor

from al_runner.errors import UsageError
from al_runner.pool import Pool, shuffled
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import checked
from al_runner.types import Fitted


def require_choosers(strategies: Sequence[Strategy], option: str) -> None:
    """Raises UsageError, which names the option, if one of the strategies does not choose images of the pool."""
    for one in strategies:
        chooses = type(one).select is not Strategy.select or type(one).query is not Strategy.query
        if one.foresees or one.makes_images or not chooses:
            raise UsageError(f"strategy.{option} can't be {one.name}; name strategies that choose images of the pool")


async def proposal(strategy: Strategy, fitted: Fitted, pool: Pool, size: int, n: int, streams: Streams) -> Tensor:
    """What the strategy chooses from `size` of the candidates, drawn at random, int64 [n]; from `n` if `size` is less.

    To the strategy these are all unlabelled images. It has the random streams of `streams` for itself.
    """
    part = pool.among(shuffled(pool.candidates_by_id, streams("part"))[: max(n, size)])
    return checked(await strategy.query(fitted, part, n, streams), part, n, strategy.name).chosen
