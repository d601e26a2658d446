"""Cost-effective active learning: a person labels what the net doubts, the net what it is sure of (Wang et al., 2016).

N examples, K posterior samples, Y classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.rng import Streams
from al_runner.strategies.uncertainty import TopScore, entropy
from al_runner.strategies.wrapped import Wrapped
from al_runner.types import Fitted, Images, Learner, TrainData, at_once, mean_log_probs

CHOICES = {"reading": ("linear", "quadratic"), "labeller": ("previous", "labelled")}
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


@dataclass(frozen=True)
class Ceal(TopScore):
    """Buys the candidates of highest `score`, and trains on confident predictions for the rest of the pool as well.

    Wang et al. (2016, algorithm 1) continue training from the last weights: learner=fine_tuned does.
    """

    threshold: float = 0.05  # entropy in nats at the first query
    decay: float = 0.0033
    reading: str = "linear"  # of the decay, see `Threshold`
    labeller: str = "previous"  # the net that chose the query; "labelled": one trained for it on the labels there are

    def __post_init__(self) -> None:
        for field, allowed in CHOICES.items():
            if getattr(self, field) not in allowed:
                raise UsageError(f"strategy.{field} is {getattr(self, field)!r}; choose one of {', '.join(allowed)}")
        if not self.threshold > 0:
            raise UsageError(f"strategy.threshold is {self.threshold}; it must be above 0 (0.05 is the default)")
        if not self.decay >= 0:
            raise UsageError(f"strategy.decay is {self.decay}; it must be 0 or more")

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
