"""Training from shrunken last weights plus a part of new ones (Ash & Adams, 2020)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import configs
import pytest
import torch
import toy
from hydra.utils import instantiate
from torch import Tensor, nn

from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train, train_all
from al_runner.engine.stacked import train_stack
from al_runner.errors import UsageError
from al_runner.learners.fine_tuned import FineTuned
from al_runner.models.inputs import net_builder
from al_runner.rng import Streams, global_stream, stream
from al_runner.training import Fit, Recipe, Trained


def batch_norm(shape: tuple[int, int, int], classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(36, 5, bias=False), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, classes)
    )


BUILD = net_builder(toy.data_set(), batch_norm)


def learner(shrink: float, perturb: float, later: Recipe | None = None) -> FineTuned:
    return FineTuned(BUILD, later or toy.recipe(), toy.recipe(max_checks=3), shrink=shrink, perturb=perturb)


def begun(made: FineTuned, seed: int = 0) -> tuple[dict[str, Tensor], Fit]:
    """The last weights, and the fit that is asked for in the next round."""
    asked: list[Fit] = []

    def engine(fits: Sequence[Fit]) -> list[Trained | Exception]:
        asked.extend(fits)
        return train_all(fits)

    data = toy.train_data()
    before = drive(made.fit(data, Streams(seed, 0)), engine)  # type: ignore[arg-type]
    last = {name: value.clone() for name, value in before.net.state_dict().items()}
    drive(made.fit(data, Streams(seed, 1), before), engine)  # type: ignore[arg-type]
    assert all(torch.equal(value, last[name]) for name, value in before.net.state_dict().items())
    return last, asked[-1]


def new_net(seed: int) -> nn.Module:
    with global_stream(stream(seed, "perturb", 1)):
        return BUILD()


@pytest.mark.parametrize("seed", [0, 3])
def test_the_weights_are_shrunk_and_a_part_of_new_ones_is_added(seed: int) -> None:
    last, fit = begun(learner(0.6, 0.01), seed)
    new = new_net(seed)
    assert fit.start is not None
    for name, weight in new.named_parameters():
        torch.testing.assert_close(fit.start[name], 0.6 * last[name] + 0.01 * weight.detach(), rtol=0, atol=0)


def test_the_new_weights_are_not_those_that_the_first_round_began_with() -> None:
    """Else the noise would pull the net back to its own start."""
    nets = [toy.recipe().new_net(BUILD, stream(0, "init", 0)), new_net(0), new_net(1)]
    first, new, other = ([weight for weight in net.parameters() if weight.ndim > 1] for net in nets)
    assert len(new) == 2
    assert not any(torch.equal(*pair) for pair in (*zip(first, new, strict=True), *zip(new, other, strict=True)))


def test_the_recipe_draws_the_new_weights() -> None:
    """With an initialisation that sets all weights to 2, the noise is `perturb` times 2."""

    def twos(net: nn.Module) -> None:
        for weight in net.parameters():
            nn.init.constant_(weight, 2.0)

    last, fit = begun(learner(0.5, 0.25, replace(toy.recipe(), init=twos)))
    assert fit.start is not None
    for name, _ in BUILD().named_parameters():
        torch.testing.assert_close(fit.start[name], 0.5 * last[name] + 0.5, rtol=0, atol=0)


def test_batch_norm_starts_with_the_statistics_of_a_new_net() -> None:
    last, fit = begun(learner(0.6, 0.0))
    assert fit.start is not None
    means = [name for name in last if name.endswith("running_mean")]
    variances = [name for name in last if name.endswith("running_var")]
    assert len(means) == len(variances) == 1
    assert bool(last[means[0]].any())
    assert not bool(fit.start[means[0]].any())
    assert bool((fit.start[variances[0]] == 1).all())
    scale = next(name for name in last if name.endswith("scale"))  # what images are standardised by never changes
    assert torch.equal(fit.start[scale], last[scale])


def test_one_and_nothing_change_nothing() -> None:
    last, fit = begun(learner(1.0, 0.0))
    assert fit.start is not None
    assert fit.start.keys() == last.keys()
    assert all(torch.equal(fit.start[name], last[name]) for name in last)


def test_a_stack_trains_as_one_by_one() -> None:
    fits = [begun(learner(0.6, 0.01), seed)[1] for seed in range(3)]
    for one, fit in zip(train_stack(fits), fits, strict=True):
        other = train(fit)
        assert isinstance(one, Trained)
        assert one.steps == other.steps
        for value, twin in zip(one.net.parameters(), other.net.parameters(), strict=True):
            torch.testing.assert_close(value, twin, rtol=0, atol=1e-5)


def run(memory: toy.Memory, shrink: float = 0.6, perturb: float = 0.1) -> toy.Memory:
    drive(replace(toy.experiment(), learner=learner(shrink, perturb)).run(memory))
    return memory


@pytest.mark.parametrize("rounds", range(6))
def test_a_run_resumes(rounds: int) -> None:
    whole, part = run(toy.Memory()), toy.Memory()
    part.ids, part.rows = whole.ids[:rounds], whole.rows[:rounds]
    assert run(part).untimed() == whole.untimed()


def test_it_changes_a_run() -> None:
    assert run(toy.Memory()).untimed() != run(toy.Memory(), 1.0, 0.0).untimed()
    assert run(toy.Memory(), 0.6, 0.1).untimed() != run(toy.Memory(), 0.6, 0.0).untimed()


def test_the_preset() -> None:
    cfg = configs.composed("learner=shrink_and_perturb").learner
    made = instantiate(cfg, _partial_=True)(build=BUILD)
    assert (made.shrink, made.perturb, made.novel, made.keep_optimizer) == (0.6, 0.01, None, False)
    plain = instantiate(configs.composed("learner=fine_tuned").learner, _partial_=True)(build=BUILD)
    assert (plain.shrink, plain.perturb) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("shrink", "perturb", "option"), [(0.0, 0.1, "shrink"), (1.1, 0.1, "shrink"), (1, -1, "perturb")]
)
def test_values_that_mean_nothing_are_refused(shrink: float, perturb: float, option: str) -> None:
    with pytest.raises(UsageError, match=rf"learner\.{option}"):
        learner(shrink, perturb)


def test_nothing_moves_at_a_rate_of_0_but_what_is_added() -> None:
    """Training then ends with the weights that it began with."""
    still = replace(toy.recipe(), optimizer=partial(torch.optim.SGD, lr=0.0))
    made, data = learner(0.6, 0.1, still), toy.train_data()
    before = drive(made.fit(data, Streams(0, 0)))  # type: ignore[arg-type]
    after = drive(made.fit(data, Streams(0, 1), before))  # type: ignore[arg-type]
    wanted = made.start(before.net.state_dict(), Streams(0, 1))
    for name, weight in after.net.named_parameters():
        torch.testing.assert_close(weight.detach(), wanted[name], rtol=0, atol=0)
