"""The best of many batches, found by buying each of them on trial: an upper line and no strategy.

BoSS (Huseljic et al., 2025) draws its batches like this, with more strategies, and smaller parts of the pool. Its code
judges a batch by the error on the test images, as images=test and measure=error do. The greedy oracle of CDALBench
(Werner et al., 2024) tries single images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated, ClassVar, Literal

from pydantic import InstanceOf

from al_runner.errors import UsageError
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import AtLeastOne, Few, Fraction, Means
from al_runner.strategies.base import Several, Strategy
from al_runner.strategies.choice import Choice
from al_runner.strategies.proposals import proposals, require_choosers
from al_runner.types import Fitted


@options("strategy")
@dataclass(frozen=True)
class LookAhead(Several):
    """Chooses the batch after which a net predicts best. The net is trained with the labels that nobody knows yet.

    The `proposers` take turns in proposing a batch. Each chooses among a random part of the candidates, so one that
    does not draw proposes different batches too. All trial nets draw from the same streams, which the round's own fit
    does not use: a batch wins by its labels, and nothing is gained by a lucky start. Ties go to the earlier batch.
    """

    proposers: Annotated[AtLeastOne[InstanceOf[Strategy]], Means("the strategies that propose batches, in turn")]
    batches: Annotated[Few, Means("batches that are tried in every round; each is one more training")] = 20
    part: Annotated[Fraction, Means("share of the candidates, drawn at random, that a proposer chooses from")] = 0.5
    images: Annotated[
        Literal["validation", "test"],
        Means("the images on which a trial net is judged; with test the measured errors are too low"),
    ] = "validation"
    measure: Annotated[
        Literal["loss", "error"], Means("what must be lowest on them: the negative log-likelihood, or the error")
    ] = "loss"
    draws: ClassVar[bool] = True
    foresees: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_choosers(self.proposers, "proposers")

    @property
    def inner(self) -> Sequence[Strategy]:
        return self.proposers

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Choice:
        """The best batch. Raises UsageError if the pool has no foresight."""
        if pool.foresight is None:
            raise UsageError(f"{self.name} uses labels that nobody knows yet; use al_runner.run and oracle=simulated")
        size = ceil(self.part * len(pool.candidates))
        batches = await proposals(self.proposers, self.batches, fitted, pool, size, n, streams)
        judge = pool.foresight.validation if self.images == "validation" else pool.foresight.test
        outcomes = await judge(batches, fitted, streams.of("trial"))
        values = [getattr(outcome, self.measure) for outcome in outcomes]
        best = min(range(len(values)), key=values.__getitem__)
        facts = {
            f"trial_{self.measure}": values[best],
            f"mean_trial_{self.measure}": sum(values) / len(values),
            "proposer": best % len(self.proposers),
        }
        return Choice(batches[best], facts)
