"""Cost-effective active learning, CEAL (Wang et al., 2016).

A person labels the images that the net is unsure of, and the net labels those that it is sure of.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from al_runner.pseudo_labels import pseudo_labels
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, NotNegative, Positive
from al_runner.strategies.uncertainty import TopScore, entropy
from al_runner.types import Fitted, Learner, TrainData
from al_runner.wrapped import Wrapped


@dataclass(frozen=True)
class Threshold:
    """The threshold in nats for every iteration, counted from 1: a prediction of lower entropy is a pseudo-label.

    The paper lowers the threshold by decay * t after iteration t. "linear" takes t for the paper's fine-tuning
    interval, which is 1: `start`, start - decay, start - 2 decay, ... "quadratic" takes t for the number of the
    iteration, counted from 0: `start`, start - decay, start - 3 decay, ... At 0 and below there are no pseudo-labels.
    """

    start: float
    decay: float
    reading: str

    def __call__(self, iteration: int) -> float:
        past = iteration - 1
        return self.start - self.decay * (past if self.reading == "linear" else past * (past + 1) / 2)


@options("strategy")
@dataclass(frozen=True)
class Ceal(TopScore):
    """Chooses the candidates with the highest `score`; also trains on confident predictions for the rest of the pool.

    Wang et al. (2016, algorithm 1) continue training from the last weights; use learner=fine_tuned for that.
    """

    threshold: Annotated[
        Positive,
        Means(
            "a prediction with an entropy below this, in nats, becomes a pseudo-label; the value after the first query"
        ),
    ] = 0.05
    decay: Annotated[NotNegative, Means("how far the threshold falls after every query")] = 0.0033
    reading: Annotated[
        Literal["linear", "quadratic"],
        Means("linear: the threshold falls equally after every query; quadratic: faster with the query's number"),
    ] = "linear"
    labeller: Annotated[
        Literal["previous", "labelled"],
        Means("what gives the pseudo-labels: the net that chose the query, or one that is trained on the labels alone"),
    ] = "previous"

    def wrap(self, learner: Learner) -> Learner:
        return PseudoLabelling(learner, Threshold(self.threshold, self.decay, self.reading), self.labeller)


@dataclass(frozen=True)
class PseudoLabelling(Wrapped):
    """From the second round on, adds confident predictions for the unlabelled images to the labelled set.

    Every round makes its own pseudo-labels. A bought image never has one, because it is no longer unlabelled.
    A fit that gets no earlier one, such as a trial of `SelectAL`, takes them from a net trained on the labels alone.
    """

    threshold: Threshold
    labeller: str

    @property
    def continues(self) -> bool:
        return self.labeller == "previous" or self.base.continues

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> Fitted:
        if streams.round > 0 and data.unlabelled is not None:
            labeller = previous
            if labeller is None or self.labeller == "labelled":
                labeller = await self.base.fit(data, streams.of("labeller"), previous)
            most = self.threshold(streams.round)
            data = data.plus(*pseudo_labels(labeller, data.unlabelled, lambda log_probs: entropy(log_probs) < most))
        return await self.base.fit(data, streams, previous)
