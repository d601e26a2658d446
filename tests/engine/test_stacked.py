"""A stack must return what the one-by-one engine would: same streams, same stopping, same weights."""

import logging
from dataclasses import replace
from functools import partial
from itertools import islice, pairwise
from math import prod
from typing import Any

import configs
import pytest
import torch
import toy
from hydra.utils import instantiate
from made_fits import MODELS, OPTIMISERS, Double, Model, batch_norm, counted, fits, recipe, require_equal
from torch import Tensor, nn

from al_runner.engine import stack, stacked
from al_runner.engine.one_by_one import error_rate, mean_loss, step, train
from al_runner.engine.parts import initial_net, optimizer_for, orders
from al_runner.engine.schedules import Drops, OneCycle
from al_runner.engine.stack import Stack
from al_runner.engine.stackable import obstacle
from al_runner.engine.stacked import Stacked, train_stack
from al_runner.engine.stopping import NonFiniteLoss
from al_runner.models.inputs import NetBuilder
from al_runner.models.layers import FlipAndShift
from al_runner.rng import Streams
from al_runner.training import Fit, Trained
from al_runner.types import TrainData


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("optimizer", OPTIMISERS)
def test_final_weights_equal_those_of_the_one_by_one_engine(model: str, optimizer: str) -> None:
    """In float64. With Adam the nets stop at different checks, so the stack becomes smaller during training."""
    asked = fits(MODELS[model], recipe(optimizer=OPTIMISERS[optimizer]))
    alone = [train(fit) for fit in asked]
    assert optimizer != "adam" or len({result.steps for result in alone}) > 1
    require_equal(train_stack(asked), alone, 1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"norm_penalty": 0.01},
        {"augment": partial(FlipAndShift, 1)},
        {"same_init": True, "reshuffle": False},
        {"check_every": 1, "min_improvement": 0.05},
        {"check_every": 1, "check_passes": 2},
        {"target_error": 0.25},
        {"keep": "last"},
        {"monitor": "loss", "check_every": 1},
        {"monitor": "loss", "keep": "last", "patience": 1, "check_every": 1},
        {"batch_size": 7, "drop_last": True},
        {"repeat_to": 40},
        {"schedule": Drops([2, 5], 0.3)},
        {"schedule": OneCycle(peak=0.3, start=0.1, end=0.01), "patience": 15},
        {"schedule": OneCycle(shape="linear"), "check_passes": 5, "max_checks": 1},
        {"label_smoothing": 0.2},
        {"class_weights": "balanced"},
        {"class_weights": "balanced", "keep": "last"},  # the weights after other nets have left
        {"class_weights": "balanced", "label_smoothing": 0.2, "norm_penalty": 0.01},
        {"minibatches": "balanced"},
        {"minibatches": "balanced", "batch_size": 64, "check_every": 1},
        {"batch_size": 64},
        {"batch_size": 7},
        {"batch_size": 1, "check_every": 50, "max_checks": 2},
    ],
    ids=str,
)
def test_every_part_of_a_recipe_is_the_same_in_a_stack(changes: dict[str, object]) -> None:
    asked = fits(toy.model, recipe(**changes))
    require_equal(train_stack(asked), [train(fit) for fit in asked], 1e-9)


@pytest.mark.parametrize("optimizer", sorted(set(OPTIMISERS) - {"rprop", "asgd"}))
def test_every_optimiser_follows_a_schedule_in_a_stack(optimizer: str) -> None:
    """A stack scales the step, not the rate. With weight decay and momentum the result must be the same."""
    chosen = recipe(optimizer=OPTIMISERS[optimizer], schedule=OneCycle(end=0.01), patience=9, max_checks=9)
    asked = fits(batch_norm, chosen)
    alone = [train(fit) for fit in asked]
    require_equal(train_stack(asked), alone, 1e-9)
    constant = [train(fit._replace(recipe=replace(chosen, schedule=None))) for fit in asked]
    assert not torch.equal(next(constant[0].net.parameters()), next(alone[0].net.parameters()))


@pytest.mark.parametrize("model", ["batch norm", "residual", "dropout"])
def test_a_last_minibatch_of_one_is_the_same_in_a_stack(model: str) -> None:
    """17 images in minibatches of 8: 8 and 9 with BatchNorm, 8, 8 and 1 without."""
    asked = fits(MODELS[model], recipe(check_every=1, check_passes=3, max_checks=4), n=17)
    alone = [train(fit) for fit in asked]
    assert {result.steps for result in alone} == {4 * 3 * (3 if model == "dropout" else 2)}
    require_equal(train_stack(asked), alone, 1e-9)


class WithSpare(nn.Sequential):
    """A net with a layer that no output depends on, as an auxiliary head that is left off."""

    def __init__(self, image_shape: tuple[int, int, int], classes: int):
        super().__init__(nn.Flatten(), nn.Linear(prod(image_shape), classes))
        self.spare = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self[1](self[0](x))
        return out


@pytest.mark.parametrize("optimizer", OPTIMISERS)
def test_weights_that_no_output_depends_on_stay_as_they_are_in_a_stack(optimizer: str) -> None:
    asked = fits(WithSpare, recipe(optimizer=OPTIMISERS[optimizer]))
    alone = [train(fit) for fit in asked]
    assert torch.equal(alone[0].net.net.spare.weight, initial_net(asked[0]).net.spare.weight)
    require_equal(train_stack(asked), alone, 1e-9)


class Projection(nn.Module):
    """Random features of a net's own, in a buffer that its state_dict does not have."""

    weight: Tensor

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.register_buffer("weight", torch.randn(inputs, outputs) / inputs**0.5, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


def projected(shape: tuple[int, int, int], classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), Projection(prod(shape), 12), nn.ReLU(), nn.Dropout(0.1), nn.Linear(12, classes))


def test_a_net_leaves_a_stack_with_the_buffers_it_was_trained_with() -> None:
    asked = fits(projected, recipe())
    for one, other in zip(train_stack(asked), [train(fit) for fit in asked], strict=True):
        assert isinstance(one, Trained)
        held, expected = dict(one.net.named_buffers()), dict(other.net.named_buffers())
        assert held.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(held[name], value, rtol=0, atol=0, msg=lambda m, n=name: f"{n}: {m}")


def test_training_ends_at_a_training_error_in_both_engines() -> None:
    """The inputs are points, as for a classifier of features, and each net's training set is its validation set."""
    rng = torch.Generator().manual_seed(0)
    settings = recipe(check_every=1, patience=400, max_checks=400, target_error=0.02)
    asked = []
    for seed in range(3):
        x = torch.randn(60, 5, generator=rng, dtype=torch.float64)
        y = (x[:, 0] > x[:, 1]).long()
        asked.append(Fit(partial(layers, 5), settings, TrainData(x, y, x, y), Streams(seed, 0)))
    alone = [train(fit) for fit in asked]
    for fit, result in zip(asked, alone, strict=True):
        assert error_rate(result.net, fit.data.x, fit.data.y) <= 0.02
        before = fit._replace(recipe=recipe(check_every=1, patience=400, max_checks=result.steps // 8 - 1))
        assert error_rate(train(before).net, fit.data.x, fit.data.y) > 0.02
    assert len({result.steps for result in alone}) > 1
    require_equal(train_stack(asked), alone, 1e-9)


def test_nets_whose_optimisers_go_on_train_one_by_one() -> None:
    asked = [fit._replace(optimizer_state={}) for fit in fits(toy.model, recipe())]
    assert obstacle(asked) == "each optimiser goes on from a state of its own"
    for one, other in zip(Stacked(8).train_all(asked), map(train, asked), strict=True):
        assert isinstance(one, Trained)
        assert one.optimizer_state
        assert all(map(torch.equal, one.net.parameters(), other.net.parameters()))


def layers(inputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Linear(16, 2)).double()


def test_validation_images_may_differ_between_nets() -> None:
    asked = fits(toy.model, recipe())
    shifted = [
        fit._replace(data=fit.data._replace(val_x=fit.data.val_x.roll(i, 0), val_y=fit.data.val_y.roll(i + i // 2, 0)))
        for i, fit in enumerate(asked)
    ]
    require_equal(train_stack(shifted), [train(fit) for fit in shifted], 1e-9)


@pytest.mark.parametrize("monitor", ["error", "loss"])
def test_validation_in_several_parts_counts_every_image(monkeypatch: pytest.MonkeyPatch, monitor: str) -> None:
    """Three images at a time, which does not divide their number; images of all nets, and of each net."""
    shared = fits(toy.model, recipe(monitor=monitor, max_checks=1))
    own = [
        fit._replace(data=fit.data._replace(val_x=fit.data.val_x.roll(i, 0), val_y=fit.data.val_y.roll(2 * i, 0)))
        for i, fit in enumerate(shared)
    ]
    for asked in (shared, own):
        whole = Stack(asked).validate().clone()
        assert len(asked[0].data.val_y) % 3
        with monkeypatch.context() as narrow:
            narrow.setattr(stack, "EVALUATION_ROWS", 3 * len(asked))
            parts = Stack(asked).validate()
        torch.testing.assert_close(parts, whole, rtol=1e-12, atol=0)
        measure = error_rate if monitor == "error" else mean_loss
        alone = [measure(initial_net(fit), fit.data.val_x, fit.data.val_y) for fit in asked]
        torch.testing.assert_close(parts, torch.tensor(alone, dtype=torch.float64), rtol=1e-9, atol=0)


def test_nets_with_other_numbers_of_validation_images_are_in_other_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a sweep over budget.val_share."""
    asked = fits(toy.model, recipe())
    cut = [
        fit._replace(data=fit.data._replace(val_x=fit.data.val_x[:many], val_y=fit.data.val_y[:many]))
        for fit, many in zip(asked, (9, 4, 9, 4), strict=True)
    ]
    stacks = []

    def counting(some: list[Fit]) -> list[Trained | Exception]:
        stacks.append([len(fit.data.val_y) for fit in some])
        return train_stack(some)

    monkeypatch.setattr(stacked, "train_stack", counting)
    require_equal(Stacked(8).train_all(cut), [train(fit) for fit in cut], 1e-9)
    assert stacks == [[9, 9], [4, 4]]


SMALLER: dict[str, dict[str, object]] = {
    "resnet18": {"width": 8},
    "preact_resnet18": {"width": 8},
    "densenet": {"layers": [3, 3, 3]},
    "vgg16": {"width": 0.125},
    "vgg16_dropout": {"width": 0.125},
    "airbench": {"widths": [16, 32, 32]},
    "torchvision": {"name": "shufflenet_v2_x0_5"},
}


@pytest.mark.parametrize("name", configs.models())
@pytest.mark.parametrize(
    ("builder", "optimizer", "steps", "relative", "absolute"),
    [
        (Double, partial(torch.optim.Adam, lr=1e-3), 8, 0, 1e-9),
        (NetBuilder, partial(torch.optim.SGD, lr=1e-2, momentum=0.9), 3, 1e-4, 1e-5),
    ],
    ids=["64", "32"],
)
def test_losses_of_every_model_are_those_of_the_one_by_one_engine(
    name: str, builder: type[NetBuilder], optimizer: Any, steps: int, relative: float, absolute: float
) -> None:
    """Step after step from the same weights: over more than two passes in float64, and in float32 as users train.

    In float32 with SGD: Adam makes full steps of gradients that are rounding noise, and a deep net shows that in its
    losses on some processors. The nets that are made for trained weights are deeper still: without such weights, one
    step turns rounding of 1e-6 into differences of 1e-2, so in float32 only their first losses are compared.
    """
    if builder is NetBuilder and name in configs.UNTRAINED:
        steps = 1
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (40, 1, 16, 16), generator=rng, dtype=torch.uint8)
    data = TrainData(images, torch.randint(10, (40,), generator=rng), images[:4], torch.zeros(4, dtype=torch.int64))
    smaller = SMALLER.get(name, {})
    build = builder(
        instantiate(configs.model(name), **smaller),
        (1, 16, 16),
        10,
        torch.tensor([127.0]),
        torch.tensor([74.0]),
    )
    chosen = recipe(optimizer=optimizer, batch_size=16, check_every=steps, max_checks=1)
    asked = [Fit(build, chosen, data, Streams(seed, 0)) for seed in range(3)]
    together = losses_of_a_stack(asked, steps)
    for place, fit in enumerate(asked):
        torch.testing.assert_close(together[:, place], losses_alone(fit, steps), rtol=relative, atol=absolute)


def batches_of(fit: Fit, steps: int) -> list[Tensor]:
    return list(islice(orders(len(fit.data.y), fit.recipe, fit.streams("order")), steps))


def losses_of_a_stack(asked: list[Fit], steps: int) -> Tensor:
    blocks = [batches_of(fit, steps) for fit in asked]
    return Stack(asked).train(torch.stack([torch.cat(block) for block in blocks]), [len(ids) for ids in blocks[0]])


def losses_alone(fit: Fit, steps: int) -> Tensor:
    net = initial_net(fit)
    optimizer = optimizer_for(fit.recipe, net.parameters())
    return torch.stack([step(net, optimizer, fit.data.x[ids], fit.data.y[ids], fit) for ids in batches_of(fit, steps)])


@pytest.mark.parametrize("name", configs.models())
def test_no_layer_before_batch_norm_has_a_bias(name: str) -> None:
    """The bias's gradient is rounding noise, which Adam turns into full steps; a stack would differ by 1e-2."""
    net = instantiate(configs.model(name))((3, 32, 32), 10)
    products = nn.Conv2d | nn.Linear
    layers = [layer for layer in net.modules() if isinstance(layer, products | nn.modules.batchnorm._NormBase)]
    for before, layer in pairwise(layers):
        if isinstance(layer, nn.modules.batchnorm._NormBase) and isinstance(before, products):
            assert before.bias is None


def test_a_net_that_diverges_fails_alone() -> None:
    def huge(net: nn.Module) -> None:
        if torch.initial_seed() == Streams(1, 3)("init").initial_seed():
            next(net.parameters()).data.fill_(1e200)

    asked = fits(toy.model, recipe(optimizer=partial(torch.optim.SGD, lr=0.01), max_checks=3, init=huge))
    outcomes = train_stack(asked)
    with pytest.raises(NonFiniteLoss) as alone:
        train(asked[1])
    assert isinstance(outcomes[1], NonFiniteLoss)
    assert outcomes[1].step == alone.value.step < 4
    others = (0, 2, 3)
    require_equal([outcomes[i] for i in others], [train(asked[i]) for i in others], 1e-9)


def test_a_net_that_diverges_in_a_later_check_names_the_step_of_all_training() -> None:
    """The rate is enormous after the first check, of 4 steps: step 5 moves the weights, and step 6 shows it."""
    chosen = recipe(optimizer=partial(torch.optim.SGD, lr=0.01), schedule=Drops([1], 1e300), max_checks=3)
    asked = fits(toy.model, chosen, 2)
    outcomes = train_stack(asked)
    for outcome, fit in zip(outcomes, asked, strict=True):
        with pytest.raises(NonFiniteLoss, match="at step 6") as alone:
            train(fit)
        assert isinstance(outcome, NonFiniteLoss)
        assert outcome.step == alone.value.step == 6


def test_fits_that_match_are_stacked_and_the_others_train_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sizes, two recipes, two models and a single fit, mixed; every answer is at the position of its fit."""
    sizes = counted(monkeypatch)
    kinds = [
        fits(toy.model, recipe(), 3),
        fits(toy.model, recipe(), 2, n=16),
        fits(toy.model, recipe(optimizer=partial(torch.optim.Adam, lr=0.02)), 2),
        fits(batch_norm, recipe(), 1),
    ]
    asked = [kind[i] for i in range(3) for kind in kinds if i < len(kind)]
    outcomes = Stacked(max_stacked=99).train_all(asked)
    assert sorted(sizes) == [2, 2, 3]
    require_equal(outcomes, [train(fit) for fit in asked], 1e-9)


def test_on_a_cpu_nothing_is_stacked_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = counted(monkeypatch)
    asked = fits(toy.model, recipe(max_checks=2))
    require_equal(Stacked().train_all(asked), [train(fit) for fit in asked], 0)
    assert sizes == []


def test_recipes_match_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job of a sweep has its own recipe object."""
    sizes = counted(monkeypatch)
    Stacked(max_stacked=99).train_all([fits(partial(toy.model), recipe(), 1)[0] for _ in range(3)])
    assert sizes == [3]


def test_a_stack_is_no_larger_than_asked(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sizes = counted(monkeypatch)
    asked = fits(toy.model, recipe(max_checks=2), 5)
    engine = Stacked(max_stacked=2)
    engine.train_all(asked)
    outcomes = engine.train_all(asked)
    assert sizes == [2, 2, 1] * 2
    assert [line for line in caplog.messages if " nets of one kind train 2 at a time: " in line] == [caplog.messages[0]]
    require_equal(outcomes, [train(fit) for fit in asked], 1e-9)


def test_a_stack_is_no_larger_than_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = counted(monkeypatch)
    asked = fits(toy.model, recipe(max_checks=2), 5)
    each = stacked.step_bytes(asked[0]) + asked[0].data.x.nbytes + asked[0].data.y.nbytes
    monkeypatch.setattr(stacked, "free_bytes", lambda device: 3 * each + 1)
    Stacked(max_stacked=99).train_all(asked)
    assert sizes == [3, 2]


def test_memory_is_reckoned_for_the_minibatches_of_later_rounds() -> None:
    (whole,) = fits(toy.model, recipe(batch_size=16), 1)
    x, y = whole.data.x[:3], whole.data.y[:3]
    assert stacked.step_bytes(whole._replace(data=whole.data._replace(x=x, y=y))) == stacked.step_bytes(whole)


def test_a_stack_that_is_too_large_after_all_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fits(toy.model, recipe(max_checks=2), 5)
    tried: list[int] = []

    def little_memory(fits: list[Fit]) -> list[Trained | Exception]:
        tried.append(len(fits))
        if len(fits) > 2:
            raise torch.OutOfMemoryError
        return train_stack(fits)

    monkeypatch.setattr(stacked, "train_stack", little_memory)
    outcomes = Stacked(max_stacked=99).train_all(asked)
    assert tried == [5, 2, 2, 1]
    require_equal(outcomes, [train(fit) for fit in asked], 1e-9)


def test_memory_that_is_short_while_a_net_is_measured_ends_no_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def no_memory(fit: Fit) -> int:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(stacked, "step_bytes", no_memory)
    asked = fits(toy.model, recipe(max_checks=2), 2)
    require_equal(Stacked(max_stacked=99).train_all(asked), [train(fit) for fit in asked], 1e-9)
    assert any("train one by one" in line and "CUDA out of memory" in line for line in caplog.messages)


def test_a_shortage_of_memory_is_of_one_kind_of_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """After that the large nets train two at a time, and the small ones all together as before."""
    large, small = fits(toy.model, recipe(max_checks=2), 5), fits(partial(toy.model), recipe(max_checks=1), 3)
    tried: list[tuple[int, int]] = []

    def little_memory(fits: list[Fit]) -> list[Trained | Exception]:
        checks = fits[0].recipe.max_checks
        tried.append((checks, len(fits)))
        if checks == 2 and len(fits) > 2:
            raise torch.OutOfMemoryError
        return train_stack(fits)

    monkeypatch.setattr(stacked, "train_stack", little_memory)
    engine = Stacked(max_stacked=99)
    first = engine.train_all([*large, *small])
    again = engine.train_all([*large, *small])
    assert [size for checks, size in tried if checks == 1] == [3, 3]
    assert [size for checks, size in tried if checks == 2] == [5, 2, 2, 1, 2, 2, 1]
    for outcomes in (first, again):
        require_equal(outcomes, [train(fit) for fit in [*large, *small]], 1e-9)


class Noisy(nn.Module):
    """Draws from torch's global generator, which no stack can follow."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5, self.training)


class Mixing(nn.Module):
    """Handles vmap's tensors differently from plain ones, without an error."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (2 if torch._C._functorch.is_batchedtensor(x) else 1)


def with_layer(layer: type[nn.Module]) -> Model:
    def model(shape: tuple[int, int, int], classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), layer(), nn.Linear(36, classes))

    return model


def forgetful(shape: tuple[int, int, int], classes: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(shape[0], momentum=None), nn.Flatten(), nn.Linear(36, classes))


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        (with_layer(Noisy), {}, "random"),
        (with_layer(Mixing), {}, "a layer gives another output in a stack"),
        (forgetful, {}, ""),
        (
            toy.model,
            {"optimizer": partial(torch.optim.Adafactor, lr=0.01)},
            "Adafactor does not update every weight independently",
        ),
        (toy.model, {"optimizer": OPTIMISERS["rprop"], "schedule": Drops([1])}, "Rprop can't follow a schedule"),
        (toy.model, {"optimizer": OPTIMISERS["asgd"], "schedule": Drops([1])}, "ASGD can't follow a schedule"),
    ],
    ids=["random", "mixing", "cumulative BatchNorm", "Adafactor", "Rprop with a schedule", "ASGD with a schedule"],
)
def test_what_cannot_be_stacked_trains_alone_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    model: Model,
    changes: dict[str, object],
    message: str,
) -> None:
    caplog.set_level(logging.INFO)
    sizes = counted(monkeypatch)
    asked = fits(model, recipe(max_checks=2, **changes))
    why = obstacle(asked)
    assert why is not None
    assert message in why
    outcomes = Stacked(max_stacked=99).train_all(asked)
    assert sizes == []
    assert len([line for line in caplog.messages if "one by one" in line and message in line]) == 1
    require_equal(outcomes, [train(fit) for fit in asked], 0)


def test_bfloat16_trains_and_differs() -> None:
    asked = fits(toy.model, recipe(max_checks=3), build=NetBuilder)
    low = [fit._replace(recipe=recipe(max_checks=3, precision="bfloat16")) for fit in asked]
    stacks = [train_stack(some) for some in (asked, low)]
    weights = [torch.cat([p.detach().flatten() for result in some for p in result.net.parameters()]) for some in stacks]
    assert weights[1].dtype == torch.float32
    assert 0 < float((weights[0] - weights[1]).abs().max()) < 0.1
    assert not torch.equal(next(train(low[0]).net.parameters()), next(train(asked[0]).net.parameters()))


def test_the_time_of_a_stack_is_divided_among_its_nets() -> None:
    import time

    asked = fits(toy.model, recipe())
    start = time.perf_counter()
    outcomes = train_stack(asked)
    elapsed = time.perf_counter() - start
    seconds = [result.seconds for result in outcomes if isinstance(result, Trained)]
    assert 0 < sum(seconds) <= elapsed
