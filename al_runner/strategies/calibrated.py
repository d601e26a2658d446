"""A temperature that makes a net's confidence right on labelled images (Guo et al., 2017, section 4.2).

N examples, Y classes; log_probs [N, Y] in nats.
"""

from dataclasses import dataclass

from torch import Tensor

from al_runner.metrics import calibration_error
from al_runner.rng import Streams
from al_runner.types import Fitted, TrainData, mean_log_probs
from al_runner.wrapped import Wrapped, WrappedFit, inner, part_of

TEMPERATURES = [1 + step / 10 for step in range(190)]  # 1, 1.1, ..., 19.9, as in the code of UHerding


def tempered(log_probs: Tensor, temperature: float) -> Tensor:
    """Probabilities of the logits divided by the temperature, [N, Y] -> [N, Y]."""
    return (log_probs / temperature).softmax(1)


def best_temperature(log_probs: Tensor, y: Tensor) -> float:
    """The first of TEMPERATURES with the least calibration error in as many bins as there are classes, [N, Y], [N]."""
    log_probs, y, bins = log_probs.double().cpu(), y.cpu(), log_probs.shape[1]
    return min(TEMPERATURES, key=lambda one: calibration_error(tempered(log_probs, one), y, bins))


@dataclass(frozen=True)
class CalibratedFit(WrappedFit):
    """A fit, and the temperature that its predictions need."""

    temperature: float


@dataclass(frozen=True)
class Calibrated(Wrapped):
    """Also fits on the labels that were bought first, and finds the temperature on the others, a share `held_out`.

    The second fit is thrown away. With too few labels for it the temperature is 1.
    """

    held_out: float

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> CalibratedFit:
        fitted = await self.base.fit(data, streams, inner(previous, CalibratedFit))
        bought = len(data.y) - data.added
        held = int(self.held_out * bought)
        if held < 1 or bought - held < 2:  # a net with BatchNorm can't be trained on one image
            return CalibratedFit(fitted, 1.0)
        first = data._replace(x=data.x[: bought - held], y=data.y[: bought - held], added=0, old=0)
        trial = await self.base.fit(first, streams.of("calibration"), None)
        log_probs = mean_log_probs(trial.log_probs(data.x[bought - held : bought]))
        return CalibratedFit(fitted, best_temperature(log_probs, data.y[bought - held : bought]))


def temperature_of(fitted: Fitted) -> float:
    """The temperature of a fit by `Calibrated`, or of one that wraps it; 1 for any other fit."""
    calibrated = part_of(fitted, CalibratedFit)
    return 1.0 if calibrated is None else calibrated.temperature
