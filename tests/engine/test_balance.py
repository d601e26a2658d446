"""Class weights and balanced minibatches, held against scikit-learn, torch, and loops written out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

import made_fits
import numpy as np
import pytest
import torch
import toy
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn.functional import cross_entropy, pad

from al_runner.balance import BalancedLoss, class_weights, example_weights
from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import mean_loss, train
from al_runner.engine.parts import largest_minibatch, orders
from al_runner.engine.stackable import kind
from al_runner.engine.stacked import Stacked, train_stack
from al_runner.engine.stopping import Patience
from al_runner.errors import UsageError
from al_runner.learners.bootstrap import Bootstrap
from al_runner.learners.fine_tuned import FineTuned
from al_runner.learners.plain import Plain
from al_runner.models.inputs import net_builder
from al_runner.rng import Streams
from al_runner.strategies.learning_loss import LearningLoss, PredictingLosses
from al_runner.training import Fit, Recipe
from al_runner.types import TrainData

Y = torch.tensor([0] * 12 + [1] * 5 + [3] * 3)[torch.randperm(20, generator=torch.Generator().manual_seed(0))]
BALANCED = {"class_weights": "balanced"}, {"minibatches": "balanced"}


def rare(counts: Sequence[int]) -> TrainData:
    """So many images of each class of the toy data, in random order."""
    data = toy.data_set()
    ids = torch.cat([data.train[data.labels[data.train] == label][:count] for label, count in enumerate(counts)])
    ids = ids[torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))]
    return TrainData(data.images[ids], data.labels[ids], *data.validation)


def fit(recipe: Recipe, counts: Sequence[int] = (14, 5, 1), seed: int = 0) -> Fit:
    """In float64, where two engines' rounding makes no difference."""
    made = net_builder(toy.data_set(), toy.model)
    build = made_fits.Double(made.model, made.image_shape, made.classes, made.mean, made.std)
    return Fit(build, recipe, rare(counts), Streams(seed, 3))


def test_the_weights_are_those_of_scikit_learn() -> None:
    ours, there = class_weights(Y), np.unique(Y.numpy())
    theirs = compute_class_weight("balanced", classes=there, y=Y.numpy())
    assert ours[there].tolist() == pytest.approx(theirs.tolist())
    assert ours[2] == 0  # no example, so no weight
    of_examples = example_weights(Y)
    assert [float(of_examples[label == Y].sum()) for label in (0, 1, 3)] == pytest.approx([20 / 3] * 3)


def test_the_loss_is_torch_s_own_with_weights() -> None:
    logits, y = torch.randn(8, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)), Y[:8]
    weight = pad(class_weights(Y), (0, 1)).double()
    ours = float(BalancedLoss(class_weights(Y))(logits, y))
    assert ours == pytest.approx(float(cross_entropy(logits, y, weight)), rel=1e-6)
    assert ours != pytest.approx(float(cross_entropy(logits, y)), rel=1e-3)


def test_label_smoothing_changes_an_example_s_loss_and_not_its_weight() -> None:
    logits, y = torch.randn(8, 5, generator=torch.Generator().manual_seed(1)), Y[:8]
    losses = [float(cross_entropy(logits[[i]], y[[i]], label_smoothing=0.3)) for i in range(8)]
    weights = class_weights(Y)[y].tolist()
    wanted = sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)
    assert float(BalancedLoss(class_weights(Y), 0.3)(logits, y)) == pytest.approx(wanted, rel=1e-5)


def require_close(net: nn.Module, other: nn.Module) -> None:
    for ours, theirs in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("counts", [(14, 5, 1), (0, 17, 3)], ids=["all classes", "a class without an image"])
def test_a_weighted_fit_equals_a_loop_in_plain_torch(counts: tuple[int, int, int]) -> None:
    wanted = fit(toy.recipe(check_every=9, max_checks=1, class_weights="balanced"), counts)
    weight = torch.tensor([20 / n if n else 0 for n in counts], dtype=torch.float64)
    order = wanted.streams("order")
    batches = [batch for _ in range(3) for batch in torch.randperm(20, generator=order).split(8)]
    net = made_fits.textbook(wanted, batches, lambda logits, y: cross_entropy(logits, y, weight))
    result = train(wanted)
    require_close(result.net, net)
    alike = train(wanted._replace(recipe=replace(wanted.recipe, class_weights=None)))
    moved = [(p - q).abs().max().item() for p, q in zip(result.net.parameters(), alike.net.parameters(), strict=True)]
    assert max(moved) > 1e-3


def test_a_fit_on_balanced_minibatches_equals_a_loop_in_plain_torch() -> None:
    wanted = fit(toy.recipe(check_every=9, max_checks=1, minibatches="balanced"))
    chances = torch.tensor([1 / 14, 1 / 5, 1.0])[wanted.data.y] * 20 / 3
    order = wanted.streams("order")
    batches = [torch.multinomial(chances, 8, replacement=True, generator=order) for _ in range(9)]
    require_close(train(wanted).net, made_fits.textbook(wanted, batches, cross_entropy))


def test_balanced_minibatches_have_every_class_alike_and_all_its_images() -> None:
    asked = fit(toy.recipe(minibatches="balanced", batch_size=64))
    batches = list(islice(orders(20, asked.recipe, asked.streams("order"), asked.drawn_by), 300))
    assert {len(batch) for batch in batches} == {64} == {largest_minibatch(asked)}
    drawn = torch.cat(batches)
    share = asked.data.y[drawn].bincount().double() / len(drawn)
    assert share.tolist() == pytest.approx([1 / 3] * 3, abs=0.015)  # 4.4 standard errors
    of_first = drawn.bincount(minlength=20)[asked.data.y == 0].double()
    assert float(((of_first - of_first.mean()).square() / of_first.mean()).sum()) < 40  # chi-square, 13 degrees: 1e-4


@pytest.mark.parametrize("changes", [*BALANCED, {**BALANCED[0], "label_smoothing": 0.2}], ids=str)
def test_a_stack_of_fits_with_other_counts_trains_as_one_by_one(changes: dict[str, object]) -> None:
    """They stop at different checks, so the stack becomes smaller."""
    counts = [(14, 5, 1), (5, 14, 1), (0, 3, 17), (7, 7, 6)]
    asked = [fit(made_fits.recipe(**changes), own, seed) for seed, own in enumerate(counts)]
    alone = [train(one) for one in asked]
    assert len({result.steps for result in alone}) > 1
    made_fits.require_equal(train_stack(asked), alone, 1e-9)
    assert len({kind(one) for one in asked}) == 1
    same = [train(one._replace(recipe=made_fits.recipe())) for one in asked]
    assert not made_fits.same_weights(same[0].net, alone[0].net)


def test_nets_that_predict_losses_are_weighted_too_and_fits_of_other_counts_train_apart() -> None:
    """Their loss is made of the recipe's own; two of them may share a stack only if they have the same weights."""
    recipe = made_fits.recipe(class_weights="balanced", max_checks=3)
    counts = [(14, 5, 1), (5, 14, 1), (14, 5, 1)]
    build = net_builder(toy.data_set(), toy.model)
    learner = PredictingLosses(Plain(build, recipe), LearningLoss(hidden=5))
    asked = [learner.with_module(Fit(build, recipe, rare(own), Streams(seed, 3))) for seed, own in enumerate(counts)]
    assert [kind(one) == kind(asked[0]) for one in asked] == [True, False, True]
    output, y = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), asked[0].data.y[:8]
    plain = learner.with_module(asked[0]._replace(build=build, recipe=made_fits.recipe(), loss=None))
    more = asked[0].criterion(output, y) - plain.criterion(output, y)
    weighted, alike = BalancedLoss(class_weights(asked[0].data.y))(output[:, :3], y), cross_entropy(output[:, :3], y)
    assert float(more) == pytest.approx(float(weighted - alike), abs=1e-6) != 0
    trained = Stacked(4).train_all(asked)
    made_fits.require_equal(trained, [train(one) for one in asked], 1e-4)


def test_each_net_of_a_bootstrap_has_the_weights_of_its_own_resample() -> None:
    watching = made_fits.Watching()
    recipe = toy.recipe(max_checks=1, class_weights="balanced")
    build = net_builder(toy.data_set(), toy.model)
    drive(Bootstrap(build, recipe, members=3, stratified=False).fit(rare((10, 8, 2)), Streams(0, 0)), watching)
    held = [repr(one.criterion) for one in watching.fits]
    assert held == [repr(BalancedLoss(class_weights(one.data.y))) for one in watching.fits]
    assert len(set(held)) > 1


@pytest.mark.parametrize("changes", BALANCED, ids=str)
def test_validation_counts_all_images_alike(changes: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    record: Callable[[Patience, float], bool] = Patience.record
    monkeypatch.setattr(Patience, "record", lambda rule, value: seen.append(value) or record(rule, value))
    asked = fit(toy.recipe(max_checks=1, monitor="loss", **changes))
    data, net = asked.data, train(asked).net
    assert seen == [pytest.approx(mean_loss(net.eval(), data.val_x, data.val_y))]
    assert seen == [pytest.approx(float(cross_entropy(net.eval()(data.val_x), data.val_y).detach()))]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({**BALANCED[0], **BALANCED[1]}, "would favour rare classes twice; leave one of them out"),
        ({**BALANCED[1], "reshuffle": False}, "reshuffle=false keeps their order; leave one of them out"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        toy.recipe(**changes)


def test_minibatches_are_drawn_by_class_or_by_purchase() -> None:
    build, balanced = net_builder(toy.data_set(), toy.model), toy.recipe(minibatches="balanced")
    with pytest.raises(UsageError, match=r"set learner\.novel=null, or leave training\.minibatches out"):
        FineTuned(build, balanced, toy.recipe(), novel=0.1)
    FineTuned(build, balanced, balanced)
    FineTuned(build, toy.recipe(), balanced, novel=0.1)  # the first fit has no older purchase
