"""Cost-effective active learning: a person labels what the net doubts, the net what it is sure of (Wang et al., 2016).

N examples, K posterior samples, Y classes.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, NotNegative, Positive
from al_runner.strategies.uncertainty import TopScore, entropy
from al_runner.strategies.wrapped import Wrapped
from al_runner.types import Fitted, Images, Learner, TrainData, at_once, mean_log_probs

CHUNK = 4096  # images read at a time


@dataclass(frozen=True)
class Threshold:
    """The entropy in nats below which a prediction becomes a pseudo-label, by iteration, counted from 1.

    The paper lowers it by decay * t after iteration t. "linear" reads t as its fine-tuning interval, which is 1
    there: `start`, start - decay, start - 2 decay, ... "quadratic" reads t as the number of the iteration, from 0:
    `start`, start - decay, start - 3 decay, ... At 0 and below no prediction is sure enough.
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
    """Buys the candidates of highest `score`, and trains on confident predictions for the rest of the pool as well.

    Wang et al. (2016, algorithm 1) continue training from the last weights: learner=fine_tuned does.
    """

    threshold: Annotated[
        Positive,
        Means(
            "entropy of the mean prediction, in nats, below which the prediction is a pseudo-label, at the first query"
        ),
    ] = 0.05
    decay: Annotated[NotNegative, Means("what the threshold loses with every query")] = 0.0033
    reading: Annotated[
        Literal["linear", "quadratic"], Means("the loss is the same with every query, or grows with the query's number")
    ] = "linear"
    labeller: Annotated[
        Literal["previous", "labelled"],
        Means("who gives pseudo-labels: the net that chose the query, or another one, trained on the labels alone"),
    ] = "previous"

    def wrap(self, learner: Learner) -> Learner:
        return PseudoLabelling(learner, Threshold(self.threshold, self.decay, self.reading), self.labeller)


@dataclass(frozen=True)
class PseudoLabelling(Wrapped):
    """Adds to every round's labels but the first's the confident predictions for what is unlabelled now.

    The pseudo-labels of a round are made anew and kept for no other; a bought image is not among the unlabelled, so
    its label is the true one.
    """

    threshold: Threshold
    labeller: str

    @property
    def continues(self) -> bool:
        return self.labeller == "previous" or self.base.continues

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> Fitted:
        if streams.round > 0 and data.unlabelled is not None:
            labeller = previous
            if self.labeller == "labelled":
                labeller = await self.base.fit(data, streams.of("labeller"), previous)
            if labeller is None:
                raise ValueError("the fit of the round before is wanted, whose net makes the pseudo-labels")
            data = data.plus(*confident(labeller, data.unlabelled, self.threshold(streams.round)))
        return await self.base.fit(data, streams, previous)


def confident(labeller: Fitted, images: Images, threshold: float) -> tuple[Tensor, Tensor]:
    """Images whose predictive entropy is below `threshold` nats, uint8 [n, C, H, W], and their likeliest classes, [n].

    As in Wang et al. (2016); n may be 0.
    """
    x, y = [images[:0]], [torch.zeros(0, dtype=torch.int64, device=images[:0].device)]
    rows = at_once(CHUNK, images[:1].numel())
    for start in range(0, len(images), rows):
        part = images[start : start + rows]
        log_probs = labeller.log_probs(part)
        sure = entropy(log_probs) < threshold
        x.append(part[sure])
        y.append(mean_log_probs(log_probs)[sure].argmax(1))
    return torch.cat(x), torch.cat(y)
