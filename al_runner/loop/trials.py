"""Purchases that are tried out and not made: an upper line chooses by what they would bring."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from al_runner.gather import gather
from al_runner.loop.measure import prediction, score
from al_runner.oracle.simulated import Simulated
from al_runner.pool import Outcome, Pool
from al_runner.rng import Streams
from al_runner.types import DataSet, Fitted, Learner, TrainData


@dataclass(frozen=True)
class Trials:
    """The `Foresight` of a simulated run. It asks for all its fits at once, so an engine can train them together."""

    data: DataSet
    oracle: Simulated
    learner: Learner
    pool: Pool
    train_data: Callable[[Pool], TrainData]

    async def validation(self, batches: Sequence[Tensor], fitted: Fitted, streams: Streams) -> list[Outcome]:
        now = self.train_data(self.pool)  # the same images for all batches
        return outcomes(await self.fits(batches, fitted, streams), now.val_x, now.val_y)

    async def test(self, batches: Sequence[Tensor], fitted: Fitted, streams: Streams) -> list[Outcome]:
        ids = self.data.test
        return outcomes(await self.fits(batches, fitted, streams), self.data.images[ids], self.data.labels[ids])

    async def fits(self, batches: Sequence[Tensor], fitted: Fitted, streams: Streams) -> list[Fitted]:
        """A fit for each batch, as the round after it would have it if only this batch were bought."""
        return await gather([self.fit(ids, fitted, streams) for ids in batches])

    async def fit(self, ids: Tensor, fitted: Fitted, streams: Streams) -> Fitted:
        later = self.pool.after(ids, await self.oracle.label(ids))
        return await self.learner.fit(self.train_data(later), streams, fitted)


def outcomes(fits: Sequence[Fitted], x: Tensor, y: Tensor) -> list[Outcome]:
    """What each fit achieves on the images."""
    return [Outcome(*score(prediction(fitted, x), y)) for fitted in fits]
