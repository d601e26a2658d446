"""GALAXY: search for the places where a class begins among the others (Zhang, Katz-Samuels & Nowak, 2022).

M images: the candidates, the labelled ones and those of no class. Y classes. A sign is 1 if an image is of the class
that has its turn, -1 if it is of another or of none, and 0 if its label is not known.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from al_runner.pool import Pool, shuffled
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import Choice
from al_runner.strategies.features import mean_log_probs_of
from al_runner.strategies.ranges import finite
from al_runner.strategies.uncertainty import least_confidence
from al_runner.types import Fitted

Ints = NDArray[np.int64]
UNKNOWN = -1  # the label of a candidate; images of no class have the label Y


@dataclass(frozen=True)
class Galaxy(Strategy):
    """Sorts all images by each class in turn, and buys where a label of the class and one of no such class meet.

    The sorted images are a graph in which each is joined to the next. The choice is the middle of the shortest path
    between two labels that differ (`halved`). If no path is left, each image is also joined to the one after the next,
    and so on, until there is one (`beside_a_cut`). If the labelled images are all of the class, or none is, a random
    candidate is bought.

    In the public code every label of a query is known before the next image is chosen; only the net waits for the
    whole query. Here nobody knows a label before the query ends, so an image that was just chosen counts
    as of the class that the net predicts. With budget.query=1 labels arrive one by one, and the net is trained after
    each. Other differences from the public code:

    - The classes take turns in a random order, not in that of their numbers, so that a query with fewer images than
      classes does not always leave out the same ones.
    - Edges are added for one choice in one class. There they stay until the query ends, and in all classes; a class
      without a label adds some at each of its turns.
    - Of equally short paths the first is taken; there it depends on the order of a set.
    """

    draws: ClassVar[bool] = True

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Choice:
        candidates = pool.candidates_by_id
        known = pool.y(pool.labelled)
        y = [torch.full_like(candidates, UNKNOWN), known, torch.full_like(pool.rejected, pool.classes)]
        log_probs = mean_log_probs_of(fitted, pool, torch.cat([candidates, pool.labelled, pool.rejected])).double()
        finite(log_probs.exp(), "a probability")
        chosen, how = search(log_probs.cpu(), torch.cat(y).cpu().numpy(), n, streams("query"))
        return Choice(candidates[torch.tensor(chosen, device=candidates.device)], how)


def search(log_probs: Tensor, y: Ints, n: int, rng: torch.Generator) -> tuple[list[int], dict[str, float]]:
    """Places of `n` images with unknown labels, and how many of them were chosen in which way.

    `log_probs` are [M, Y] in nats, and the labels `y` [M]. UNKNOWN ones become the prediction once they are chosen.
    """
    y, predicted = y.copy(), log_probs.argmax(1).numpy()
    turns = shuffled(torch.arange(log_probs.shape[1]), rng).tolist()
    lines = {label: line(log_probs, label) for label in turns[:n]}
    chosen, how = [], Counter[str]()
    for turn in range(n):
        label = turns[turn % len(turns)]
        own = y[lines[label]]
        name, place = next_place(np.where(own == UNKNOWN, 0, np.where(own == label, 1, -1)), rng)
        chosen.append(int(lines[label][place]))
        y[chosen[-1]] = predicted[chosen[-1]]
        how[name] += 1
    return chosen, {name: float(how[name]) for name in ("halved", "beside_a_cut", "at_random")}


def line(log_probs: Tensor, label: int) -> Ints:
    """The images from the most to the least like class `label`, [M, Y] in nats -> [M].

    They are sorted by p(label) - max_y p(y). It is 0 for all images that are predicted to be of this class. Of equal
    ones the more confident prediction comes first, and then the earlier image.
    """
    probs = log_probs.exp()
    behind = probs.amax(1) - probs[:, label]
    return np.lexsort((least_confidence(log_probs[:, None]).numpy(), behind.numpy()))


def next_place(signs: Ints, rng: torch.Generator) -> tuple[str, int]:
    """How the next image is chosen, and its place in the line, [M]. There is at least one 0."""
    ways: dict[str, Callable[[Ints], int | None]] = {"halved": halved, "beside_a_cut": beside_a_cut}
    for name, way in ways.items():
        place = way(signs)
        if place is not None:
            return name, place
    free = np.flatnonzero(signs == 0)
    return "at_random", int(free[int(torch.randint(len(free), (1,), generator=rng))])


def halved(signs: Ints) -> int | None:
    """The middle of the shortest run of 0 between a 1 and a -1, [M]; None if there is no such run.

    Of two middles it is the one closer to the 1. Of equally short runs it is the first.
    """
    known = np.flatnonzero(signs)
    steps = np.diff(known)
    runs = (steps > 1) & (signs[known[1:]] != signs[known[:-1]])
    if not runs.any():
        return None
    at = int(np.where(runs, steps, len(signs)).argmin())
    left, right = int(known[at]), int(known[at + 1])
    return (left + right + int(signs[right] > 0)) // 2


def beside_a_cut(signs: Ints) -> int | None:
    """The 0 for which the farther of the nearest 1 and the nearest -1 is closest, [M]; None if either is missing.

    Of equally close ones it is the one closest to a 1, and then the first.
    """
    free = np.flatnonzero(signs == 0)
    ones, others = (distances(free, np.flatnonzero(signs == sign)) for sign in (1, -1))
    farther = np.maximum(ones, others)
    at = np.lexsort((ones, farther))[0]
    return None if np.isinf(farther[at]) else int(free[at])


def distances(places: Ints, to: Ints) -> NDArray[np.float64]:
    """How far each place is from the closest one of `to`, which ascend; infinite if there are none, [N], [L] -> [N]."""
    bounded = np.concatenate([[-np.inf], to, [np.inf]])
    after = np.searchsorted(bounded, places)
    nearer: NDArray[np.float64] = np.minimum(places - bounded[after - 1], bounded[after] - places)
    return nearer
