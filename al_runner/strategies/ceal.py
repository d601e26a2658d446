"""Cost-effective active learning, CEAL (Wang et al., 2016).

A person labels the images that the net is unsure of, and the net labels those that it is sure of.
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
from al_runner.system.chunks import at_once
from al_runner.types import Fitted, Images, Learner, TrainData, mean_log_probs
from al_runner.wrapped import Wrapped

CHUNK = 4096  # images read at once; fewer if they are large


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
                raise ValueError("pseudo-labels come from the net of the round before, but no earlier fit was given")
            data = data.plus(*confident(labeller, data.unlabelled, self.threshold(streams.round)))
        return await self.base.fit(data, streams, previous)


def confident(labeller: Fitted, images: Images, threshold: float) -> tuple[Tensor, Tensor]:
    """Images whose predictive entropy is below `threshold` nats, uint8 [n, C, H, W], and their predicted classes, [n].

    n may be 0. Source: Wang et al. (2016).
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
