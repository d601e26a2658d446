"""Batches that other strategies propose, each from a random part of the candidates."""

from collections.abc import Sequence

from torch import Tensor

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.pool import Pool, shuffled
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import checked
from al_runner.types import Fitted


def require_choosers(strategies: Sequence[Strategy], option: str) -> None:
    """Raises UsageError, which names the option, if one of the strategies does not choose images of the pool."""
    for one in strategies:
        if one.foresees or one.makes_images or not one.queries:
            raise UsageError(f"strategy.{option} can't be {one.name}; name strategies that choose images of the pool")


async def proposals(
    proposers: Sequence[Strategy], count: int, fitted: Fitted, pool: Pool, size: int, n: int, streams: Streams
) -> list[Tensor]:
    """`count` batches, int64 [n] each, which the proposers choose in turn.

    Each batch is chosen from `size` of the candidates, drawn at random, or from `n` if `size` is less; they are never
    more than the proposer's `max_candidates`. To the proposer these are all unlabelled images. Every batch has random
    streams of its own.
    """
    batches = []
    for place in range(count):
        proposer, own = proposers[place % len(proposers)], streams.of(f"batch {place}")
        most = proposer.plan(Budget(initial=n, query=n)).candidate_count
        part = pool.among(shuffled(pool.candidates_by_id, own("part"))[: min(max(n, size), most)])
        batches.append(checked(await proposer.query(fitted, part, n, own), part, n, proposer).chosen)
    return batches
