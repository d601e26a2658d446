"""What a strategy chose, its facts about the choice, and the check of both before the purchase is recorded."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.pool import Pool


class Choice(NamedTuple):
    """A query, and named numbers about it that are recorded beside the purchase (queries.csv)."""

    chosen: Tensor  # int64 [n]: ids, or positions if a function is called without a pool
    facts: Mapping[str, float] = MappingProxyType({})
    made: Tensor | None = None  # images to be labelled in place of the pool's, uint8 [n, C, H, W]; `chosen` is empty


def checked(answer: object, pool: Pool, n: int, strategy: object) -> Choice:
    """The answer of `strategy` to a query, as a `Choice`; it may be a list or array of whole numbers.

    Raises UsageError unless the answer is `n` distinct candidates, and all facts are numbers.
    """
    name = type(strategy).__name__
    chosen, facts, made = answer if isinstance(answer, Choice) else (answer, {}, None)
    wanted = f"{name} returned {{}}; a query returns {n} distinct ids of pool.candidates, as int64 [{n}]"
    try:
        numbers = {str(key): float(value) for key, value in facts.items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(wanted.format(" ".join(f"the facts {facts} ({error})".split()))) from error
    ids = as_ids(chosen, wanted).to(pool.candidates.device)
    if made is not None:
        return Choice(ids, numbers, checked_images(made, pool, n, name))
    if len(ids) != n:
        raise UsageError(wanted.format(f"{len(ids)} ids for {n}"))
    foreign = ids[~torch.isin(ids, pool.candidates)]
    if len(foreign):
        raise UsageError(wanted.format(f"id {int(foreign[0])}, which is not one of its candidates"))
    if len(ids.unique()) != n:
        raise UsageError(wanted.format("the same id twice"))
    return Choice(ids, numbers)


def as_ids(chosen: object, wanted: str) -> Tensor:
    """A tensor, list or array of whole numbers as int64 [N].

    Raises UsageError if it is nothing of the kind: the message is `wanted`, with what was returned in place of {}.
    """
    try:
        ids = torch.as_tensor(chosen)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(wanted.format(" ".join(f"{type(chosen).__name__} ({error})".split()))) from error
    if ids.ndim != 1:
        raise UsageError(wanted.format(f"ids of shape {list(ids.shape)}"))
    if len(ids) and (ids.dtype == torch.bool or ids.is_floating_point() or ids.is_complex()):
        raise UsageError(wanted.format(f"ids of type {ids.dtype}"))
    return ids.to(torch.int64)


def checked_images(made: Tensor, pool: Pool, n: int, name: str) -> Tensor:
    """Images that a strategy made; UsageError unless they are `n` of the kind that the pool has."""
    like = pool.x(pool.candidates[:1])
    if made.shape != (n, *like.shape[1:]) or made.dtype != like.dtype:
        raise UsageError(
            f"{name} made images {made.dtype} of shape {list(made.shape)}; "
            f"a query has {n} of them, {like.dtype} [{n}, {', '.join(map(str, like.shape[1:]))}]"
        )
    return made
