"""Checks that predictions are probability distributions, in one place for all learners and strategies.

N images, K posterior samples, Y classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from al_runner.errors import UsageError
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.types import Fitted, Telling, TrainData
from al_runner.wrapped import Wrapped, WrappedFit, inner

TOLERANCE = 1e-3  # for sums of probabilities: far above float32's rounding, far below the error that logits give
CHUNK = 4096  # images checked at once


def require_distributions(log_probs: Tensor, images: int, samples: int, learner: str) -> Tensor:
    """The same log probabilities, [N, K, Y]; the probabilities must add to 1 within TOLERANCE.

    Raises UsageError, with the name of the learner, if they do not or if the shape is wrong. Raises ArithmeticError if
    one is NaN.
    """
    if log_probs.ndim != 3 or log_probs.shape[:2] != (images, samples):
        raise UsageError(
            f"{learner}.log_probs gave a tensor of shape {list(log_probs.shape)} for {images} images; "
            f"return [{images}, {samples}, classes]; the learner declares {samples} posterior samples"
        )
    for part in log_probs.split(CHUNK) if images else ():
        sums = part.exp().sum(2)
        if bool(sums.isnan().any()):
            raise ArithmeticError(f"{learner}.log_probs gave NaN: the net's predictions are NaN")
        worst = float(sums.flatten()[(sums - 1).abs().argmax()])
        if not abs(worst - 1) <= TOLERANCE:
            raise UsageError(
                f"{learner}.log_probs gave probabilities that add to {worst:.4g}, not to 1; "
                "return log probabilities; for a net's logits these are logits.log_softmax(-1)"
            )
    return log_probs


@dataclass(frozen=True)
class CheckedFit(WrappedFit):
    """A fit whose predictions are checked every time they are computed."""

    gives: Gives  # what the learner declares
    learner: str

    def log_probs(self, x: Tensor) -> Tensor:
        return require_distributions(self.fitted.log_probs(x), len(x), self.gives.samples, self.learner)

    def require_evaluation(self, line: str) -> None:
        """Raises UsageError with this line if the fit has one net and that is in training mode."""
        if self.gives.network and self.network().training:
            raise UsageError(line)

    def facts(self, x: Tensor, y: Tensor) -> Mapping[str, float]:
        """What the fit tells of a purchase, nothing if it has nothing to tell."""
        return self.fitted.facts(x, y) if isinstance(self.fitted, Telling) else {}

    def shown(self, x: Tensor, y: Tensor) -> Mapping[str, Tensor]:
        """The images that the fit shows of a purchase, none if it has none."""
        return self.fitted.shown(x, y) if isinstance(self.fitted, Telling) else {}


@dataclass(frozen=True)
class Checked(Wrapped):
    """A learner that fits as `base` does and checks the predictions; errors call it `learner`."""

    learner: str

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> CheckedFit:
        fitted = await self.base.fit(data, streams, inner(previous, CheckedFit))
        require_fit(fitted, self.gives, self.learner)
        found = CheckedFit(fitted, self.gives, self.learner)
        found.require_evaluation(f"{self.learner}.fit left its net in training mode; return the net as net.eval()")
        return found


def require_fit(fitted: Fitted, gives: Gives, learner: str) -> None:
    """Raises UsageError if a fit lacks what every fit has or what `gives` declares."""
    if not callable(getattr(fitted, "log_probs", None)) or not hasattr(fitted, "steps"):
        raise UsageError(
            f"{learner}.fit gave {type(fitted).__name__}; return an object with log_probs(x) and steps, such as "
            "al_runner.learners.plain.SingleNet(net, steps)"
        )
    for name, declared in (("network", gives.network), ("features", gives.features)):
        if declared and not callable(getattr(fitted, name, None)):
            raise UsageError(
                f"{learner}.fit gave {type(fitted).__name__}, which has no method {name}; add it, or declare "
                f"gives = Gives({name}=False)"
            )
