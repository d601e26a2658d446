"""Learning rates step by step, against torch's own schedulers."""

from dataclasses import replace
from functools import partial
from math import cos, pi

import pytest
import torch
import toy
from made_fits import fit, same_weights
from torch import nn
from torch.nn.functional import cross_entropy

from al_runner.engine import one_by_one
from al_runner.engine.one_by_one import train
from al_runner.engine.parts import set_rate
from al_runner.engine.schedules import Cosine, Drops, OneCycle
from al_runner.errors import UsageError
from al_runner.training import Schedule

STEPS = 40


def optimizer(*rates: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates], momentum=0.9)


def rates_of(schedule: Schedule, checks: int = 10) -> list[list[float]]:
    """The rates of both groups of an optimiser, at every step of `checks` checks."""
    ours = optimizer(0.4, 0.8)
    recipe = toy.recipe(schedule=schedule, max_checks=checks, patience=checks)
    found = []
    for step in range(STEPS):
        set_rate(ours, recipe, step, STEPS // checks)
        found.append([group["lr"] for group in ours.param_groups])
    return found


def rates_of_torch(scheduler: torch.optim.lr_scheduler.LRScheduler) -> list[list[float]]:
    found = []
    for _ in range(STEPS):
        found.append([group["lr"] for group in scheduler.optimizer.param_groups])
        scheduler.optimizer.step()
        scheduler.step()
    return found


def test_the_cosine_of_fixmatch_by_hand() -> None:
    """0.03 cos(7 pi k / 16 K) for step k of K (Sohn et al., 2020)."""
    rates = rates_of(Cosine(turn=7 / 16))
    assert [rates[0], rates[10]] == [[0.4, 0.8], pytest.approx([0.4 * cos(7 * pi / 64), 0.8 * cos(7 * pi / 64)])]
    assert rates_of(Cosine(turn=0.5))[20] == pytest.approx([0.4 * cos(pi / 4), 0.8 * cos(pi / 4)])
    with pytest.raises(UsageError, match=r"training\.schedule\.turn is 0\.6; it must be above 0 and at most 0\.5"):
        Cosine(turn=0.6)
    with pytest.raises(UsageError, match=r"training\.schedule=Cosine needs the whole training"):
        toy.recipe(schedule=Cosine(), max_checks=10, patience=9)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize("peak", [0.0, 0.23, 0.3, 0.5, 0.99])
def test_one_cycle_has_the_rates_of_torch_at_every_step(shape: str, peak: float) -> None:
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer(0.4, 0.8),
        max_lr=[0.4, 0.8],
        total_steps=STEPS,
        pct_start=peak,
        anneal_strategy="cos" if shape == "cosine" else "linear",
        cycle_momentum=False,
        div_factor=1 / 0.2,
        final_div_factor=0.2 / 0.07,
    )
    ours = rates_of(OneCycle(peak=peak, start=0.2, end=0.07, shape=shape))
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(rates_of_torch(theirs)), rtol=1e-12, atol=0)


def test_one_cycle_s_defaults_are_those_of_torch() -> None:
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer(1.0), 1.0, total_steps=STEPS, cycle_momentum=False)
    ours = [OneCycle()(step, 4, STEPS) for step in range(STEPS)]
    torch.testing.assert_close(
        torch.tensor(ours), torch.tensor([rate for (rate,) in rates_of_torch(theirs)]), rtol=1e-12, atol=1e-18
    )


def test_one_cycle_of_a_few_steps_has_a_rate_for_each() -> None:
    assert OneCycle(end=0.5)(0, 1, 1) == 0.5
    assert [OneCycle(peak=0.5, start=0.2, end=0.4, shape="linear")(step, 1, 2) for step in range(2)] == [1.0, 0.4]
    assert [OneCycle(peak=1.0, start=0.5, shape="linear")(step, 1, 3) for step in range(3)] == [0.5, 0.75, 1.0]


def test_drops_have_the_rates_of_torch_at_every_step() -> None:
    """There is a check every 4 steps, so the drops after checks 3 and 5 are at steps 12 and 20."""
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer(0.4, 0.8), [12, 20], gamma=0.1)
    torch.testing.assert_close(
        torch.tensor(rates_of(Drops((3, 5)))), torch.tensor(rates_of_torch(theirs)), rtol=1e-12, atol=0
    )


def test_training_takes_every_step_at_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three passes of three minibatches, and the last weights; the textbook loop with torch's scheduler."""
    sgd = partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True)
    schedule = OneCycle(peak=0.3, start=0.2, end=0.1)
    recipe = toy.recipe(check_every=1, check_passes=3, max_checks=1, patience=1, schedule=schedule, label_smoothing=0.2)
    wanted = fit(replace(recipe, optimizer=sgd))
    result = train(wanted)
    assert result.steps == 9
    net = one_by_one.initial_net(wanted)
    theirs = sgd(net.parameters())
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        theirs, 0.1, total_steps=9, cycle_momentum=False, div_factor=5, final_div_factor=2
    )
    order = wanted.streams("order")
    for batch in [b for _ in range(3) for b in torch.randperm(20, generator=order).split(8)]:
        theirs.zero_grad()
        cross_entropy(net(wanted.data.x[batch]), wanted.data.y[batch], label_smoothing=0.2).backward()
        theirs.step()
        scheduler.step()
        for layer in one_by_one.seeded_layers(net):
            layer.stream += 1
    for ours, expected in zip(result.net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)
    constant = train(wanted._replace(recipe=replace(wanted.recipe, schedule=None)))
    assert not same_weights(result.net, constant.net)


def test_the_checks_of_a_cycle_choose_among_its_weights() -> None:
    """The cycle lasts for all possible checks, and patience allows as many."""
    assert train(fit(toy.recipe(schedule=OneCycle(), max_checks=5, patience=5))).steps == 20


@pytest.mark.parametrize("changes", [{"patience": 4}, {"target_error": 0.1}], ids=str)
def test_a_cycle_that_might_be_cut_short_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(
        UsageError, match=r"schedule=OneCycle needs the whole training, which must not end early; set .*patience=5"
    ):
        toy.recipe(schedule=OneCycle(), **{"max_checks": 5, "patience": 5, **changes})
    toy.recipe(schedule=Drops((2,)), **{"max_checks": 5, "patience": 5, **changes})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OneCycle(peak=1.5), r"training\.schedule\.peak is 1\.5; it must be 0 or more and at most 1"),
        (lambda: OneCycle(start=-0.1), r"training\.schedule\.start is -0\.1"),
        (lambda: OneCycle(end=2), r"training\.schedule\.end is 2"),
        (lambda: OneCycle(shape="triangle"), "schedule.shape is 'triangle'; it must be linear or cosine"),
        (lambda: Drops((1,), -1), r"training\.schedule\.by is -1; it must be 0 or more"),
        (
            lambda: toy.recipe(label_smoothing=1.0),
            r"training\.label_smoothing is 1\.0; it must be 0 or more and below 1",
        ),
        (lambda: toy.recipe(label_smoothing=-0.1), r"training\.label_smoothing is -0\.1"),
    ],
)
def test_options_that_mean_nothing_are_refused(make: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()  # type: ignore[operator]
