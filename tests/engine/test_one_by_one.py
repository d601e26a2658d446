import copy
import math
import weakref
from dataclasses import replace
from functools import partial
from itertools import islice
from time import perf_counter

import pytest
import torch
import toy
from made_fits import fit, same_weights, textbook
from torch import nn
from torch.nn.functional import cross_entropy

from al_runner.engine import one_by_one
from al_runner.engine.one_by_one import error_rate, train
from al_runner.engine.parts import initial_net, orders
from al_runner.engine.schedules import Drops
from al_runner.engine.stopping import NonFiniteLoss, require_finite
from al_runner.errors import UsageError
from al_runner.models.inputs import net_builder
from al_runner.rng import Streams
from al_runner.training import Recipe


def test_the_same_fit_gives_the_same_net_whatever_was_drawn_before() -> None:
    first = train(fit(toy.recipe()))
    torch.rand(5)
    second = train(fit(toy.recipe()))
    assert same_weights(first.net, second.net)
    assert first.steps == second.steps
    assert not same_weights(first.net, train(fit(toy.recipe(), seed=1)).net)


def test_every_round_has_its_own_initial_weights_unless_same_init() -> None:
    assert not same_weights(initial_net(fit(toy.recipe(), 0)), initial_net(fit(toy.recipe(), 1)))
    same = toy.recipe(same_init=True)
    assert same_weights(initial_net(fit(same, 0)), initial_net(fit(same, 1)))
    assert not same_weights(initial_net(fit(same, 0)), initial_net(fit(same, 0, seed=1)))


@pytest.mark.parametrize("length", [{"check_every": 9}, {"check_every": 1, "check_passes": 3}], ids=str)
def test_a_fit_equals_the_textbook_loop(length: dict[str, int]) -> None:
    """Adam over shuffled passes, written out; one check at the end, so nothing is restored or stopped."""
    recipe = toy.recipe(**length, max_checks=1)
    wanted = fit(recipe)
    result = train(wanted)
    order = wanted.streams("order")
    batches = [b for _ in range(3) for b in torch.randperm(20, generator=order).split(8)]
    net = textbook(wanted, batches, cross_entropy)
    assert result.steps == 9
    for ours, theirs in zip(result.net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def scripted(monkeypatch: pytest.MonkeyPatch, errors: list[float], name: str) -> list[nn.Module]:
    """Let the function `name` give training these validation errors in turn, and keep a copy of the net at each."""
    snapshots: list[nn.Module] = []

    def error(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
        snapshots.append(copy.deepcopy(net))
        return errors[len(snapshots) - 1]

    monkeypatch.setattr(one_by_one, name, error)
    return snapshots


@pytest.mark.parametrize(
    ("changes", "errors", "checks", "best"),
    [
        (
            {},
            [0.5, 0.4, 0.4, 0.45, 0.41, 0.1],
            5,
            1,
        ),  # three checks without a fall; the first of the equal errors is kept
        ({}, [0.5, 0.6, 0.6, 0.3, 0.6, 0.6, 0.6], 7, 3),  # a fall starts the count again
        ({"max_checks": 2}, [0.5, 0.4, 0.3], 2, 1),
        ({"min_improvement": 0.05}, [0.40, 0.39, 0.385, 0.38, 0.375, 0.37, 0.365], 7, 6),  # 0.38 = 0.95 * 0.40 counts
        ({"min_improvement": 0.05}, [0.40, 0.39, 0.385, 0.381, 0.1], 4, 3),  # but the lowest is restored
        ({}, [0.0, 0.0, 0.0, 0.0], 4, 0),
        ({"target_error": 0.25}, [0.5, 0.6, 0.25, 0.1], 3, 2),
        ({"target_error": 0.0}, [0.5, 0.01, 0.0, 0.0], 3, 2),
        ({"keep": "last"}, [0.5, 0.4, 0.4, 0.45, 0.41, 0.1], 5, 4),
        ({"keep": "last", "patience": 1}, [0.5, 0.4, 0.6], 3, 2),
    ],
)
@pytest.mark.parametrize("monitor", ["error", "loss"])
def test_stopping_and_restoring(
    monkeypatch: pytest.MonkeyPatch, monitor: str, changes: dict, errors: list[float], checks: int, best: int
) -> None:
    if monitor == "loss":
        if "target_error" in changes:
            pytest.skip("a loss has no target error")
        changes = {**changes, "monitor": "loss"}
    snapshots = scripted(monkeypatch, [*errors, *[9.0] * 9], {"error": "error_rate", "loss": "mean_loss"}[monitor])
    result = train(fit(toy.recipe(**changes)))
    assert len(snapshots) == checks
    assert same_weights(result.net, snapshots[best])
    assert result.steps == checks * 4


@pytest.mark.parametrize(("losses", "best"), [([math.nan, 0.5, 0.7], 1), ([0.5, math.nan, 0.4], 2)], ids=str)
def test_a_loss_that_can_t_be_measured_does_not_hide_later_ones(
    monkeypatch: pytest.MonkeyPatch, losses: list[float], best: int
) -> None:
    """As where BatchNorm's statistics are still far off in an early check."""
    snapshots = scripted(monkeypatch, losses, "mean_loss")
    result = train(fit(toy.recipe(monitor="loss", max_checks=3, patience=3)))
    assert same_weights(result.net, snapshots[best])


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_a_target_that_is_not_an_error_rate_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match=r"training.target_error is .*; it must be 0 or more and below 1"):
        toy.recipe(target_error=value)


def dense(shape: tuple[int, int, int], classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(36, classes))


def test_a_target_error_needs_the_error_to_be_monitored() -> None:
    with pytest.raises(UsageError, match=r"target_error needs training\.monitor=error"):
        toy.recipe(target_error=0.1, monitor="loss")


def test_the_loss_that_is_monitored_is_the_mean_cross_entropy_without_dropout() -> None:
    asked = fit(toy.recipe())
    net = initial_net(asked)
    before = [value.clone() for value in net.state_dict().values()]
    loss = one_by_one.mean_loss(net, asked.data.val_x, asked.data.val_y)
    assert net.training
    assert all(map(torch.equal, before, net.state_dict().values()))
    wanted = cross_entropy(net.eval()(asked.data.val_x), asked.data.val_y).item()
    assert loss == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("count", [8, 12, 15])
def test_two_fits_with_one_optimiser_are_one_long_training(count: int) -> None:
    """Two fits of 3 passes, of which the second goes on from the weights and from Adam's state: 6 passes of Adam."""
    recipe = toy.recipe(check_every=1, check_passes=3, max_checks=1, drop_last=True)
    first = fit(recipe, n=count)._replace(build=net_builder(toy.data_set(), dense), optimizer_state={})
    begun = train(first)
    assert begun.optimizer_state
    second = first._replace(streams=Streams(0, 1), start=begun.net.state_dict(), optimizer_state=begun.optimizer_state)
    ended = train(second)
    net = initial_net(first)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for asked in (first, second):
        order = asked.streams("order")
        for batch in [b for _ in range(3) for b in torch.randperm(count, generator=order)[:8].split(8)]:
            one_by_one.step(net, optimizer, asked.data.x[batch], asked.data.y[batch], asked)
    for ours, theirs in zip(ended.net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert same_weights(train(second).net, ended.net)  # the state that it begins from was left as it is
    anew = train(second._replace(optimizer_state={}))
    assert not same_weights(anew.net, ended.net)
    assert train(second._replace(optimizer_state=None)).optimizer_state is None


def test_the_seconds_of_a_fit_are_its_own() -> None:
    start = perf_counter()
    first, second = (train(fit(toy.recipe(max_checks=1))) for _ in range(2))
    assert min(first.seconds, second.seconds) > 0
    assert first.seconds + second.seconds <= perf_counter() - start


def test_a_check_lasts_at_least_one_pass() -> None:
    assert train(fit(toy.recipe(max_checks=1), n=70)).steps == 9


def test_the_net_trains_in_training_mode_after_every_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left in evaluation mode, dropout and BatchNorm would be off from the first check on."""
    modes: list[bool] = []
    step = one_by_one.step
    monkeypatch.setattr(one_by_one, "step", lambda net, *rest: modes.append(net.training) or step(net, *rest))
    train(fit(toy.recipe(max_checks=3)))
    assert len(modes) == 12
    assert all(modes)


def test_minibatches_cover_every_example_once_a_pass() -> None:
    batches = list(islice(orders(20, toy.recipe(), Streams(0, 0)("order")), 6))
    assert [len(b) for b in batches] == [8, 8, 4, 8, 8, 4]
    first, second = torch.cat(batches[:3]), torch.cat(batches[3:])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(20))
    assert first.tolist() != second.tolist()
    kept = list(islice(orders(20, toy.recipe(reshuffle=False), Streams(0, 0)("order")), 3))
    assert torch.cat(kept).tolist() == list(range(20))


def test_few_examples_are_repeated_equally_often_in_full_minibatches() -> None:
    recipe = toy.recipe(repeat_to=32)
    batches = list(islice(orders(10, recipe, Streams(0, 0)("order")), 8))
    assert [len(b) for b in batches] == [8] * 8
    for one_pass in (batches[:4], batches[4:]):
        counts = torch.cat(one_pass).bincount()
        assert counts.tolist() == [4, 4, *[3] * 8]
    assert batches[0].tolist() != batches[4].tolist()
    more = list(islice(orders(40, recipe, Streams(0, 0)("order")), 5))
    assert sorted(torch.cat(more).tolist()) == list(range(40))
    assert recipe.steps_per_check(10) == 4


@pytest.mark.parametrize(
    ("count", "batch_size", "least", "sizes"),
    [
        (20, 8, 1, [8, 8, 4]),
        (17, 8, 1, [8, 8, 1]),
        (17, 8, 2, [8, 9]),
        (18, 8, 2, [8, 8, 2]),
        (16, 8, 2, [8, 8]),
        (9, 8, 2, [9]),
        (5, 8, 2, [5]),
        (1, 8, 2, [1]),
        (3, 1, 2, [1, 1, 1]),
    ],
)
def test_a_remainder_that_is_too_small_joins_the_minibatch_before_it(
    count: int, batch_size: int, least: int, sizes: list[int]
) -> None:
    recipe = toy.recipe(batch_size=batch_size, check_every=1, check_passes=2)
    assert recipe.minibatch_sizes(count, least) == sizes
    batches = list(islice(orders(count, recipe, Streams(0, 0)("order"), least=least), 2 * len(sizes)))
    assert [len(batch) for batch in batches] == sizes * 2
    assert sorted(torch.cat(batches[: len(sizes)]).tolist()) == list(range(count))
    assert recipe.steps_per_check(count, least) == 2 * len(sizes)


def test_a_last_minibatch_that_is_smaller_is_dropped_unless_it_is_the_only_one() -> None:
    recipe = toy.recipe(batch_size=8, check_every=1, check_passes=2, drop_last=True)
    assert [recipe.minibatch_sizes(count) for count in (20, 16, 9, 5)] == [[8, 8], [8, 8], [8], [5]]
    assert recipe.steps_per_check(20) == 4
    first, second, third = (torch.cat(list(islice(orders(20, recipe, Streams(0, 0)("order")), n))) for n in (2, 4, 40))
    assert len(set(first.tolist())) == 16
    assert first.tolist() != second[16:].tolist()
    assert len(set(third.tolist())) == 20  # every example has its turn


def batch_norm(shape: tuple[int, int, int], classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(36, 5, bias=False), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, classes)
    )


def test_batch_norm_never_sees_an_image_alone_and_other_nets_train_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    step = one_by_one.step
    monkeypatch.setattr(one_by_one, "step", lambda net, opt, x, *rest: sizes.append(len(x)) or step(net, opt, x, *rest))
    asked = fit(toy.recipe(check_every=1, max_checks=2), n=17)
    train(asked._replace(build=net_builder(toy.data_set(), batch_norm)))
    assert sizes == [8, 9, 8, 9]
    sizes.clear()
    train(asked)
    assert sizes == [8, 8, 1, 8, 8, 1]
    sizes.clear()
    drawn = asked._replace(build=net_builder(toy.data_set(), batch_norm), chances=torch.ones(17))
    train(drawn)
    assert sizes == [8, 8, 8, 8]


def test_the_norm_penalty_is_the_sum_of_unsquared_norms() -> None:
    net = nn.Linear(3, 2).double()
    x, y = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 1, 0, 1])
    plain, penalised = (
        one_by_one.step(net, torch.optim.SGD(net.parameters(), lr=0.0), x, y, fit(toy.recipe(norm_penalty=weight)))
        for weight in (0.0, 0.001)
    )
    assert (penalised - plain).item() == pytest.approx(0.001 * net.weight.square().sum().sqrt().item())


def test_a_loss_that_is_not_finite_names_its_step() -> None:
    with pytest.raises(NonFiniteLoss, match="at step ") as caught:
        train(fit(replace(toy.recipe(), optimizer=partial(torch.optim.SGD, lr=1e30))))
    assert 2 <= caught.value.step <= 4
    with pytest.raises(NonFiniteLoss, match="at step 7"):
        require_finite(torch.tensor([1.0, 2.0, float("nan"), float("inf")]), 4)


def test_error_rate_by_hand() -> None:
    net = nn.Identity()
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0], [1.0, 0.0]])
    assert error_rate(net, logits, torch.tensor([0, 1, 1, 1])) == 0.5
    assert error_rate(net, logits.repeat(300, 1), torch.tensor([0, 1, 1, 0]).repeat(300)) == 0.25


def test_a_fit_may_have_its_own_loss_and_start_from_given_weights() -> None:
    def squared(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (logits - nn.functional.one_hot(y, 3)).square().mean()

    def sgd(lr: float) -> Recipe:
        return replace(toy.recipe(max_checks=1), optimizer=partial(torch.optim.SGD, lr=lr))

    first = train(fit(toy.recipe()))
    still = fit(sgd(0.0), seed=5)._replace(start=first.net.state_dict())
    assert same_weights(train(still).net, first.net)
    moved = still._replace(recipe=sgd(0.1), loss=squared)
    assert not same_weights(train(moved).net, first.net)
    net = initial_net(moved)
    x, y = moved.data.x[:8], moved.data.y[:8]
    wanted = squared(net(x), y)
    assert one_by_one.step(net, torch.optim.SGD(net.parameters(), lr=0.1), x, y, moved) == wanted


def test_the_learning_rate_drops_after_its_checks() -> None:
    """With a rate of 0 nothing changes any more: after 9 checks the weights are those after 2."""
    sgd = {"optimizer": partial(torch.optim.SGD, lr=0.05), "patience": 9}
    short = train(fit(replace(toy.recipe(), **sgd, max_checks=2)))
    dropped = train(fit(replace(toy.recipe(), **sgd, max_checks=9, schedule=Drops((2,), 0.0))))
    assert same_weights(short.net, dropped.net)
    assert not same_weights(short.net, train(fit(replace(toy.recipe(), **sgd, max_checks=9))).net)


def test_a_fit_that_failed_holds_no_memory() -> None:
    """A shortage of memory in one of many fits would otherwise be one for all others, too."""
    seen: list[weakref.ref[torch.Tensor]] = []

    def shortage(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        seen.append(weakref.ref(output))
        raise torch.OutOfMemoryError

    (failed,) = one_by_one.train_all([fit(toy.recipe())._replace(loss=shortage)])
    assert isinstance(failed, torch.OutOfMemoryError)
    assert [ref() for ref in seen] == [None]
