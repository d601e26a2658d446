"""What a record holds of earlier rounds, put back into a pool."""

from torch import Tensor

from al_runner.pool import Pool
from al_runner.types import Query, Record


def chosen(record: Record, round_: int) -> bool:
    """Whether the images of a round are recorded, bought or only asked for."""
    return record.bought(round_) is not None or record.asked(round_) is not None


def recorded_purchase(record: Record, pool: Pool, round_: int) -> Tensor | None:
    """The ids of a recorded purchase, or None if there is none. Images that were made go back into the pool."""
    ids = record.bought(round_)
    if ids is None:
        return None
    put_back(record, pool, round_)
    return ids.to(pool.unlabelled.device)


def recorded_query(record: Record, pool: Pool, round_: int) -> Query | None:
    """A recorded query, or None if there is none. Images that were made go back into the pool."""
    query = record.asked(round_)
    if query is None:
        return None
    put_back(record, pool, round_)
    return query._replace(ids=query.ids.to(pool.unlabelled.device))


def put_back(record: Record, pool: Pool, round_: int) -> None:
    """Give the pool the images that the strategy made for a round, if it made any."""
    made = record.queried(round_)
    if made is not None:
        pool.add(made)
