"""FixMatch's loss and step against plain loops, what its steps see, and the learner in whole experiments."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import exp, log
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import toy
from made_fits import batch_norm, watched
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import al_runner
from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train_all
from al_runner.engine.parts import initial_net
from al_runner.engine.stacked import Stacked
from al_runner.errors import UsageError
from al_runner.labels import UNKNOWN
from al_runner.learners.consistency import BuildViews, Consistency, Views, consistency
from al_runner.learners.fixmatch import FixMatch, FixMatched
from al_runner.learners.plain import Plain
from al_runner.loop.experiment import Experiment
from al_runner.models.inputs import net_builder
from al_runner.models.layers import FlipAndShift
from al_runner.models.rand_augment import rand_augment
from al_runner.rng import Streams
from al_runner.training import Fit, Trained

BUILD = net_builder(toy.data_set(), toy.model)


def learner(build: Any = BUILD, recipe: Any = None, **options: Any) -> FixMatch:
    return FixMatch(build, recipe or toy.recipe(max_checks=3), rand_augment, **{"mu": 2, "threshold": 0.5, **options})


def experiment(**options: Any) -> Experiment:
    return replace(toy.experiment(), learner=learner(**options))


def test_the_loss_is_that_of_a_plain_loop() -> None:
    rng = torch.Generator().manual_seed(0)
    weak, strong = (3 * torch.randn(20, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    total, sure = 0.0, 0
    for w, s in zip(weak.tolist(), strong.tolist(), strict=True):
        probs = [exp(value) / sum(map(exp, w)) for value in w]
        if max(probs) >= 0.8:
            sure += 1
            total -= log(exp(s[probs.index(max(probs))]) / sum(map(exp, s)))
    assert 0 < sure < 20
    assert float(consistency(weak, strong, 0.8)) == pytest.approx(total / 20, rel=1e-6)


def test_a_prediction_counts_from_the_threshold_on_and_the_weak_view_gets_no_gradient() -> None:
    weak = torch.tensor([[1.0, 1.0], [1.0, 0.999]], requires_grad=True)  # probabilities 0.5 and 0.50025
    strong = torch.tensor([[2.0, 0.0], [0.0, 2.0]], requires_grad=True)
    each = cross_entropy(strong, torch.tensor([0, 0]), reduction="none")
    assert consistency(weak, strong, 0.5).item() == pytest.approx(each.mean().item())
    assert consistency(weak, strong, 0.5001).item() == pytest.approx(each[1].item() / 2)
    assert consistency(weak, strong, 0.51).item() == 0
    consistency(weak, strong, 0.5).backward()
    assert weak.grad is None and strong.grad is not None


class Times(nn.Module):
    """A change of images that is seen in what comes out."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@dataclass
class Seen:
    """A net of one dense layer that keeps what it gets."""

    inputs: list[Tensor] = field(default_factory=list)

    def net(self) -> nn.Module:
        net = nn.Sequential(nn.Flatten(), nn.Linear(2, 3))
        net.register_forward_pre_hook(lambda _, given: self.inputs.append(given[0]))
        return net


def test_a_step_is_one_of_the_two_losses_on_one_pass_over_all_views() -> None:
    seen = Seen()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        views = Views(seen.net(), Times(2), Times(3), 0.9)
    x, others = torch.randn(4, 2, 1, 1), torch.randn(6, 2, 1, 1)
    y = torch.tensor([0, 1, 2, 0])
    asked: list[tuple[str, Tensor]] = []
    step = Consistency(0.4, 0.7, 5, others)
    loss = step.step(views, x, y, cross_entropy, lambda part, loss: asked.append((part, loss)), generator())
    drawn = others[torch.randint(6, (5,), generator=generator())]
    (given,) = seen.inputs
    assert torch.equal(given, torch.cat([2 * x, 2 * drawn, 6 * drawn]))
    logits = views.net(given)
    expected = cross_entropy(logits[:4], y) + 0.7 * consistency(logits[4:9], logits[9:], 0.4)
    assert consistency(logits[4:9], logits[9:], 0.4) > 0
    ((part, of_move),) = asked
    assert part == "net" and loss.item() == pytest.approx(expected.item()) == pytest.approx(of_move.item())


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize("others", [None, torch.zeros(0, 2, 1, 1)])
def test_without_unlabelled_images_only_the_labelled_ones_count(others: Tensor | None) -> None:
    seen = Seen()
    views = Views(seen.net(), Times(2), Times(3), 0.9)
    x, y = torch.randn(4, 2, 1, 1), torch.tensor([0, 1, 2, 0])
    loss = Consistency(0.4, 1.0, 5, others).step(views, x, y, cross_entropy, lambda part, loss: None, generator())
    assert torch.equal(seen.inputs[0], 2 * x)
    assert float(loss) == pytest.approx(float(cross_entropy(views.net(2 * x), y).detach()))


def test_batch_norm_gets_the_statistics_of_all_views_once_and_the_mean_takes_them_over() -> None:
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(2, momentum=1.0), nn.Linear(2, 3))
    views = Views(net, Times(1), Times(3), 0.9).train()
    x, others = torch.randn(4, 2, 1, 1), torch.randn(6, 2, 1, 1)
    step = Consistency(0.4, 1.0, 5, others)
    step.step(views, x, torch.tensor([0, 1, 2, 0]), cross_entropy, lambda part, loss: None, generator())
    drawn = others[torch.randint(6, (5,), generator=generator())]
    every = torch.cat([x, drawn, 3 * drawn]).flatten(1)
    for part in (views.net, views.mean):
        norm = part.get_submodule("1")
        assert torch.allclose(norm.get_buffer("running_mean"), every.mean(0), atol=1e-6)
        assert torch.allclose(norm.get_buffer("running_var"), every.var(0), atol=1e-6)
        assert int(norm.get_buffer("num_batches_tracked")) == 1


@pytest.mark.parametrize(("ema", "shares"), [(0.0, [0, 0, 0, 0]), (0.2, [1 / 10, 2 / 11, 0.2, 0.2])])
def test_the_mean_of_the_weights_by_hand(ema: float, shares: Sequence[float]) -> None:
    views = Views(nn.Linear(1, 1, bias=False), nn.Identity(), nn.Identity(), ema)
    weight, mean = views.net.get_parameter("weight"), float(views.mean.get_parameter("weight"))
    for step, share in enumerate(shares):
        nn.init.constant_(weight, step * step - 2.0)
        views.follow()
        mean = share * mean + (1 - share) * (step * step - 2.0)
        assert float(views.mean.get_parameter("weight")) == pytest.approx(mean, rel=1e-6)
    assert float(views(torch.ones(1, 1))) == pytest.approx(mean, rel=1e-6)


def asked(made: FixMatch | Plain, seed: int = 3) -> Fit:
    fit: Fit = made.fit(toy.train_data(), Streams(seed, 0), None).send(None)[0]
    return fit


def ones(net: nn.Module) -> None:
    for weight in net.parameters():
        nn.init.constant_(weight, 1.0 + torch.rand(()).item())


@pytest.mark.parametrize("init", [None, ones])
def test_it_starts_from_the_weights_that_learner_plain_has(init: Any) -> None:
    recipe = toy.recipe(init=init)
    ours, plain = initial_net(asked(learner(recipe=recipe))), initial_net(asked(Plain(BUILD, recipe)))
    for part in ("net", "mean"):
        for one, other in zip(ours.get_submodule(part).parameters(), plain.parameters(), strict=True):
            assert torch.equal(one, other)


def test_the_weak_change_is_that_of_the_training_or_a_shift_by_an_eighth() -> None:
    own = partial(FlipAndShift, 1)
    assert learner(recipe=toy.recipe(augment=own)).weak is own
    build = replace(BUILD, image_shape=(1, 28, 20))
    made = learner(build=build).weak()
    assert isinstance(made, FlipAndShift) and (made.pixels, made.flip) == (2, False)
    fit = asked(learner(recipe=toy.recipe(augment=own)))
    assert fit.recipe.augment is None  # the step changes the images, not the net that is validated
    assert isinstance(fit.build, BuildViews) and fit.build.weak is own


def test_a_step_has_mu_times_the_minibatch_of_unlabelled_images_however_few_are_labelled() -> None:
    joint = asked(learner(mu=3, recipe=toy.recipe(batch_size=50))).joint
    assert isinstance(joint, Consistency) and joint.count == 150
    x = toy.train_data().x
    assert len(joint.drawn(x, generator())) == 150 and len(replace(joint, unlabelled=None).drawn(x, generator())) == 0


def test_only_the_pool_s_unlabelled_images_are_drawn() -> None:
    """Neither bought ones, nor those for validation and test."""
    run = toy.experiment()
    pool = toy.bought(run.data, run.data.train[:12])
    made = Consistency(0.5, 1.0, 3000, run.train_data(pool).unlabelled)
    drawn = made.drawn(run.data.images, generator()).flatten(1)
    images = run.data.images.flatten(1)
    places = (drawn[:, None] == images[None]).all(2).float().argmax(1)
    assert torch.equal(places.unique(), run.data.train[12:])


def test_labels_that_were_not_bought_are_never_read() -> None:
    """All labels of the pool are UNKNOWN in the data set, for which every loss raises; only the oracle has them."""
    data = toy.data_set()
    hidden = replace(data, labels=data.labels.clone())
    hidden.labels[data.train] = UNKNOWN

    @dataclass(frozen=True)
    class Answers:
        async def label(self, ids: Tensor) -> Tensor:
            return data.labels[ids]

    known, _ = watched(experiment())
    unknown, _ = watched(replace(experiment(), data=hidden, oracle=Answers()))
    assert known.untimed() == unknown.untimed() and len(known.rows) == 5


@pytest.mark.parametrize(
    "options", [{}, {"ema": 0.0}, {"recipe": toy.recipe(max_checks=2, augment=FlipAndShift)}], ids=str
)
def test_a_resumed_run_has_the_same_rows_and_the_pool_stays_as_it_was(options: dict[str, Any]) -> None:
    wanted = experiment(**options)
    before = wanted.data.images.clone()
    whole, fits = watched(wanted)
    torch.rand(7)
    cut = toy.Memory()
    cut.ids, cut.rows, cut.facts = whole.ids[:3], whole.rows[:2], whole.facts[:3]
    resumed, _ = watched(wanted, cut)
    assert resumed.untimed() == whole.untimed() and resumed.facts == whole.facts
    assert [row["labelled"] for row in whole.rows] == [6, 11, 16, 21, 26]
    assert torch.equal(wanted.data.images, before)
    for fit, bought in zip(fits, (6, 11, 16, 21, 26), strict=True):
        assert torch.equal(fit.data.x, before[torch.cat(whole.ids)[:bought]]) and fit.data.added == 0


def fitted(**recipe: Any) -> FixMatched:
    return drive(learner(recipe=toy.recipe(**recipe)).fit(toy.train_data(), Streams(0, 0)), train_all)


def test_training_ends_early_and_keeps_the_mean_of_the_best_check() -> None:
    ended = fitted(patience=2, max_checks=40)
    assert ended.steps < 160
    best = ended.steps // 4 - 2
    there = fitted(patience=best, max_checks=best, keep="last")
    images = toy.data_set().images
    assert torch.equal(there.log_probs(images), ended.log_probs(images))


def test_a_query_tells_how_many_predictions_for_unlabelled_images_are_sure() -> None:
    memory, _ = watched(experiment(threshold=0.6))
    assert memory.facts[0] == {} and all(set(facts) == {"sure_share"} for facts in memory.facts[1:])
    table = torch.tensor([0.55, 0.6, 0.7, 0.99], dtype=torch.float64)

    @dataclass(frozen=True)
    class Known(FixMatched):
        def log_probs(self, x: Tensor) -> Tensor:
            return torch.stack([table, 1 - table], 1)[x.flatten().long()].log()[:, None]

    images = torch.arange(4, dtype=torch.uint8)[:, None, None, None]
    facts = Known(nn.Identity(), 0, images, 0.6).facts(images[:1], torch.tensor([0]))
    assert facts == {"sure_share": 0.75}
    assert Known(nn.Identity(), 0, images[:0], 0.6).facts(images[:1], torch.tensor([0])) == {}


def test_it_learns_from_unlabelled_images() -> None:
    data = toy.train_data()
    with_them, without = (
        drive(learner().fit(data._replace(unlabelled=others), Streams(0, 0)), train_all)
        for others in (data.unlabelled, None)
    )
    images = toy.data_set().images
    assert not torch.equal(with_them.log_probs(images), without.log_probs(images))


def test_a_net_with_batch_norm_predicts_for_every_image_alone() -> None:
    made = drive(learner(build=net_builder(toy.data_set(), batch_norm)).fit(toy.train_data(), Streams(0, 0)), train_all)
    images = toy.data_set().images
    assert torch.allclose(made.log_probs(images[:3]), made.log_probs(images)[:3], atol=1e-5)
    assert all(weight.requires_grad for weight in made.network().parameters())


def test_a_lock_step_sweep_trains_it_alone_and_says_so(caplog: Any) -> None:
    caplog.set_level("INFO")
    fits = [asked(learner(), seed) for seed in (0, 1)]
    together = Stacked(max_stacked=2).train_all(fits)
    (line,) = caplog.messages
    assert "train one by one" in line and "the learner takes steps of its own" in line
    for result, alone in zip(together, train_all(fits), strict=True):
        assert isinstance(result, Trained) and isinstance(alone, Trained)
        for one, other in zip(result.net.parameters(), alone.net.parameters(), strict=True):
            assert torch.equal(one, other)


def test_vectors_and_floats_are_refused_before_any_training() -> None:
    with pytest.raises(UsageError, match=r"these inputs are vectors; use learner=pseudo_labels or learner=plain"):
        learner(build=replace(BUILD, image_shape=(5, 1, 1)))
    floats = replace(toy.data_set(), images=toy.data_set().images.float())
    with pytest.raises(UsageError, match=r"pixels of 0 \.\. 255, and the data set holds floats; use learner=pseudo_"):
        learner(build=net_builder(floats, toy.model))


def test_a_strong_change_that_makes_no_images_is_refused() -> None:
    with pytest.raises(UsageError, match=r"learner\.strong turns images \[2, 1, 6, 6\] into \[2, 36\]; keep the"):
        FixMatch(BUILD, toy.recipe(), nn.Flatten)
    with pytest.raises(UsageError, match=r"learner\.strong: .*; it makes a layer from images to images"):
        FixMatch(BUILD, toy.recipe(), nn.Flatten())


def test_a_small_run_on_the_digits(tmp_path: Path) -> None:
    run = al_runner.run(
        "learner=fixmatch", "strategy=random", "training.batch_size=8", "training.check_every=4", "budget.max_rounds=1",
        f"results={tmp_path}",
    )  # fmt: skip
    queries = pd.read_csv(run.folder / "queries.csv")
    assert list(queries["name"]) == ["sure_share"] and 0 <= queries["value"].item() <= 1
    assert len(run.rounds) == 2
