from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
import torch
import toy
from torch import Tensor, nn

from al_runner.engine.drive import drive
from al_runner.errors import UsageError
from al_runner.learners.checked import TOLERANCE, Checked, require_distributions
from al_runner.learners.ensemble import Ensemble
from al_runner.learners.plain import Plain, SingleNet
from al_runner.models.inputs import net_builder
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.strategies.bayesian import Disagreement, bald
from al_runner.strategies.uncertainty import TopScore, margin
from al_runner.types import Fitted, TrainData

BUILD = net_builder(toy.data_set(), toy.model)


def log_probs(n: int = 9, k: int = 2, classes: int = 4) -> Tensor:
    return torch.randn(n, k, classes, generator=torch.Generator().manual_seed(0)).log_softmax(2)


def test_distributions_pass_unchanged() -> None:
    for values in (log_probs(), log_probs().double(), torch.tensor([[[0.0, -torch.inf]]]), log_probs()[:0]):
        assert require_distributions(values, len(values), values.shape[1], "Mine") is values


@pytest.mark.parametrize("share", [1 + 2 * TOLERANCE, 1 - 2 * TOLERANCE, 3.0, 0.0])
def test_what_does_not_add_to_1_is_refused_wherever_it_is(share: float) -> None:
    values = log_probs(10_000)
    values[7_000, 1] += torch.tensor(share).log()
    with pytest.raises(UsageError, match=rf"Mine\.log_probs gave probabilities that add to {share:.4g}, not to 1"):
        require_distributions(values, 10_000, 2, "Mine")


def test_rounding_is_not_refused() -> None:
    values = log_probs()
    values[3] += torch.tensor(1 + TOLERANCE / 2).log()
    require_distributions(values, 9, 2, "Mine")


@pytest.mark.parametrize("values", [log_probs()[:, 0], log_probs()[:8], log_probs(k=3), log_probs()[None]])
def test_another_shape_is_refused(values: Tensor) -> None:
    with pytest.raises(UsageError, match=r"Mine\.log_probs gave a tensor of shape .* return \[9, 2, classes\]"):
        require_distributions(values, 9, 2, "Mine")


def test_nan_is_an_arithmetic_error() -> None:
    values = log_probs()
    values[4, 1, 2] = torch.nan
    with pytest.raises(ArithmeticError, match=r"Mine\.log_probs gave NaN"):
        require_distributions(values, 9, 2, "Mine")


@dataclass(frozen=True)
class Logits(SingleNet):
    """Forgets log_softmax."""

    @torch.inference_mode()
    def log_probs(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return logits[:, None]


@dataclass(frozen=True)
class Unnormalised(Plain):
    gives = Gives()

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> Logits:
        fitted = await super().fit(data, streams)
        return Logits(fitted.network(), 0)


@pytest.mark.parametrize("strategy", [TopScore(margin), Disagreement(bald, one_sample="random")])
def test_a_run_with_a_learner_that_gives_logits_ends_before_anything_is_measured(strategy: TopScore) -> None:
    experiment, record = toy.experiment(strategy), toy.Memory()
    with pytest.raises(UsageError, match=r"Unnormalised\.log_probs .* logits\.log_softmax\(-1\)"):
        drive(replace(experiment, learner=Unnormalised(BUILD, toy.recipe())).run(record))
    assert record.rows == []


def test_it_gives_what_the_learner_gives() -> None:
    base = Ensemble(BUILD, toy.recipe(), members=3)
    learner = Checked(base, "Ensemble")
    assert (learner.gives, learner.continues) == (base.gives, base.continues)
    pool = toy.bought(toy.data_set(), toy.data_set().train[:12])
    data = toy.experiment().train_data(pool)
    fitted, plain = (drive(part.fit(data, Streams(0, 0), None)) for part in (learner, base))  # type: ignore[arg-type]
    images = toy.data_set().images
    assert torch.equal(fitted.log_probs(images), plain.log_probs(images))
    assert torch.equal(fitted.features(images), plain.features(images))
    assert fitted.steps == plain.steps
    with pytest.raises(UsageError, match="several"):
        fitted.network()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, r"Asking\.fit gave NoneType; return an object with log_probs\(x\)"),
        (nn.Identity(), r"Asking\.fit gave Identity; return an object"),
        (SingleNet(nn.Identity(), 0), r"Asking\.fit left its net in training mode; return the net as net\.eval\(\)"),
    ],
)
def test_a_fit_that_can_t_predict_is_refused(given: Any, message: str) -> None:
    class Asking(Plain):
        async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> SingleNet:
            return cast(SingleNet, given)

    data = toy.experiment().train_data(toy.bought(toy.data_set(), toy.data_set().train[:12]))
    with pytest.raises(UsageError, match=message):
        drive(Checked(Asking(BUILD, toy.recipe()), "Asking").fit(data, Streams(0, 0), None))


def test_the_learner_gets_its_own_last_fit() -> None:
    class Asking(Plain):
        async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> SingleNet:
            seen.append(previous)
            return SingleNet(nn.Identity().eval(), 0)

    seen, learner = list[Fitted | None](), Checked(Asking(BUILD, toy.recipe()), "Asking")
    data = toy.experiment().train_data(toy.bought(toy.data_set(), toy.data_set().train[:12]))
    first = drive(learner.fit(data, Streams(0, 0), None))
    drive(learner.fit(data, Streams(0, 1), first))
    assert seen[0] is None
    assert seen[1] is first.fitted
