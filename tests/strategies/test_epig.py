"""Expected predictive information gain against its definition."""

from math import log

import pytest
import torch
import toy
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.learners.dropout import Dropout
from al_runner.learners.ensemble import Ensemble
from al_runner.models.inputs import net_builder
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies import epig as module
from al_runner.strategies.bayesian import bald
from al_runner.strategies.epig import Epig, epig


def samples(n: int, k: int = 4, classes: int = 3, seed: int = 0) -> Tensor:
    logits = 2 * torch.randn(n, k, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return logits.log_softmax(2)


def by_definition(log_probs: Tensor, targets: Tensor) -> list[float]:
    """E over x* of sum p(y, y*) ln p(y, y*) / (p(y) p(y*)), one term after the other."""
    p, q = log_probs.exp().tolist(), targets.exp().tolist()
    scores = []
    for own in p:
        score = 0.0
        for other in q:
            for y in range(len(own[0])):
                for z in range(len(own[0])):
                    joint = sum(a[y] * b[z] for a, b in zip(own, other, strict=True)) / len(own)
                    first, second = (sum(a[c] for a in each) / len(each) for each, c in ((own, y), (other, z)))
                    score += joint * log(joint / (first * second)) if joint > 0 else 0
        scores.append(score / len(q))
    return scores


@pytest.mark.parametrize("numbers", [1, 50, 2**22])
def test_scores_are_those_of_the_definition(numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NUMBERS", numbers)
    log_probs, targets = samples(6), samples(5, seed=1)
    assert epig(log_probs, targets).tolist() == pytest.approx(by_definition(log_probs, targets), rel=1e-10)


def test_targets_that_tell_the_samples_apart_leave_the_information_on_the_weights() -> None:
    """Where a target's label is the number of the sample, to know it is to know the weights: EPIG is BALD."""
    log_probs = samples(8, k=3)
    certain = torch.eye(3, dtype=torch.float64).log()[None]
    assert torch.allclose(epig(log_probs, certain), bald(log_probs), rtol=1e-12)


def test_targets_that_all_samples_agree_on_leave_none() -> None:
    agreed = samples(5, k=1, seed=2).expand(5, 4, 3)
    assert torch.allclose(epig(samples(8), agreed), torch.zeros(8).double(), atol=1e-15)


def test_impossible_labels_leave_no_nan() -> None:
    impossible = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]]).double().log()
    assert epig(impossible, impossible).tolist() == pytest.approx([log(2) / 2, 0.0])


def test_a_prediction_that_is_nan_is_an_error() -> None:
    broken = samples(3)
    broken[1] = torch.nan
    with pytest.raises(ArithmeticError, match="epig"):
        epig(broken, samples(2))


class Drawn:
    """Posterior samples that are linear functions of an image."""

    steps = 0

    def log_probs(self, x: Tensor) -> Tensor:
        weights = torch.randn(16, 4, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        return torch.einsum("np,pkc->nkc", x.flatten(1), 3 * weights).log_softmax(2)


def test_the_highest_about_random_images_of_the_pool_are_chosen(pool: Pool) -> None:
    fitted = Drawn()
    everyone, ids = torch.arange(10, 50), pool.candidates.sort().values
    scores = epig(fitted.log_probs(pool.x(ids)), fitted.log_probs(pool.x(everyone)))
    expected = ids[scores.argsort(descending=True)[:5]]
    chosen = Epig(targets=1000).select(fitted, pool, 5, stream(0, "query"))  # type: ignore[arg-type]
    assert torch.equal(chosen, expected)
    few = {tuple(Epig(targets=2).select(fitted, pool, 5, stream(s, "query")).tolist()) for s in range(9)}  # type: ignore[arg-type]
    assert len(few) > 1


def test_what_means_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"strategy\.targets is 0"):
        Epig(targets=0)
    build, recipe = net_builder(toy.data_set(), toy.model), toy.recipe()
    for learner in (Dropout(build, recipe, samples=4), Ensemble(build, recipe, members=1)):
        with pytest.raises(
            UsageError, match=r"Epig needs several posterior samples.* learner=dropout learner\.shared_masks=true"
        ):
            Epig().check_learner(learner)
    Epig().check_learner(Dropout(build, recipe, samples=4, shared_masks=True))
