"""learner=vae_acgan and learner=acgan in whole experiments: what they train on, what is counted, and what repeats."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import toy
from made_fits import watched
from torch import nn

from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train, train_all
from al_runner.engine.parts import initial_net
from al_runner.engine.schedules import Drops
from al_runner.engine.stacked import Stacked
from al_runner.engine.stopping import NonFiniteLoss
from al_runner.errors import UsageError
from al_runner.generative.parts import stored
from al_runner.learners.acgan import Acgan
from al_runner.learners.generating import Generating
from al_runner.learners.plain import Plain
from al_runner.learners.vae_acgan import VaeAcgan
from al_runner.loop.experiment import Experiment
from al_runner.models.inputs import net_builder
from al_runner.models.layers import FlipAndShift
from al_runner.models.preact_resnet import preact_resnet
from al_runner.models.resnet import resnet
from al_runner.rng import Streams
from al_runner.strategies.bayesian import Disagreement, bald
from al_runner.strategies.random import Random
from al_runner.training import Trained

ADAM = partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.999))
BUILD = net_builder(toy.data_set(), toy.model)
TINY: dict[str, Any] = {"samples": 4, "latent": 3, "maps": 2, "units": 4}
BOTH = [VaeAcgan, Acgan]


def learner(kind: type[Generating], **options: Any) -> Generating:
    recipe = toy.recipe(max_checks=2)
    return kind(**{"build": BUILD, "recipe": recipe, "optimizer": ADAM, "score": bald, **TINY, **options})


def experiment(kind: type[Generating], **options: Any) -> Experiment:
    return replace(toy.experiment(Disagreement(bald)), learner=learner(kind, **options))


@pytest.mark.parametrize("kind", BOTH)
def test_bald_runs_with_it_and_what_is_made_is_neither_labelled_nor_anywhere_else(kind: type[Generating]) -> None:
    wanted = experiment(kind)
    before = wanted.data.images.clone()
    memory, fits = watched(wanted)
    assert [row["labelled"] for row in memory.rows] == [6, 11, 16, 21, 26]
    for round_, fit in enumerate(fits):
        ids = torch.cat(memory.ids[: round_ + 1])
        assert torch.equal(fit.data.x, before[ids]) and fit.data.added == 0
        assert torch.equal(fit.data.val_x, before[wanted.data.val])
        assert fit.data.unlabelled is not None and len(fit.data.unlabelled) == len(wanted.data.train) - len(ids)
    assert torch.equal(wanted.data.images, before)


def test_twins_that_are_kept_are_added_and_not_labelled() -> None:
    """One for every image of a query, under its label, as the nets of the round before made it."""
    wanted = experiment(VaeAcgan, keep=True)
    memory, fits = watched(wanted)
    assert [row["labelled"] for row in memory.rows] == [6, 11, 16, 21, 26]
    assert [fit.data.added for fit in fits] == [0, 5, 10, 15, 20]
    images, labels = wanted.data.images, wanted.data.labels
    for fit, bought in zip(fits, (6, 11, 16, 21, 26), strict=True):
        ids = torch.cat(memory.ids)[:bought]
        assert torch.equal(fit.data.x[:bought], images[ids]) and torch.equal(fit.data.y[:bought], labels[ids])
        assert torch.equal(fit.data.y[bought:], labels[ids[6:]])
    parts = train(fits[0]).net.eval()
    newest = memory.ids[1]
    made = parts.twins(images[newest], labels[newest])  # type: ignore[operator]
    assert torch.equal(fits[1].data.x[11:], stored(made))
    assert torch.equal(fits[2].data.x[16:21], fits[1].data.x[11:])


def test_examples_that_another_part_has_added_get_no_twins() -> None:
    """Such as the pseudo-labelled ones of strategy=ceal."""
    made, ids = learner(VaeAcgan, keep=True), toy.data_set().train
    images, labels = toy.data_set().images, toy.data_set().labels
    before = drive(made.fit(toy.train_data(), Streams(0, 0), None), train_all)
    later = toy.train_data()._replace(x=images[ids[:17]], y=labels[ids[:17]], old=12)
    alone, beside = (
        drive(made.fit(data, Streams(0, 1), before), train_all)
        for data in (later, later.plus(images[ids[17:40]], labels[ids[17:40]]))
    )
    assert len(alone.y) == 5
    assert torch.equal(beside.x, alone.x) and torch.equal(beside.y, alone.y)


def test_a_query_s_facts_are_those_of_its_images_twins_and_generated_images() -> None:
    """Figure 3 and proposition 2.1 of the paper, with the fit that chose; nothing is told of the first purchase."""
    wanted = experiment(VaeAcgan)
    memory, fits = watched(wanted)
    x, y = wanted.data.images[memory.ids[2]], wanted.data.labels[memory.ids[2]]
    parts = train(fits[1]).net.eval()
    twins = parts.twins(x, y)  # type: ignore[operator]
    fitted = drive(learner(VaeAcgan).fit(fits[1].data, fits[1].streams, None), train_all)
    a, near = bald(fitted.log_probs(x)), bald(fitted.log_probs((255 * twins).round().to(torch.uint8)))
    z = torch.randn(5, 3, generator=fits[1].streams("made"))
    made = (255 * parts.get_submodule("generator")(z, y)).round().to(torch.uint8)
    assert memory.facts[0] == {}
    assert memory.facts[2] == pytest.approx(
        {
            "bought_score": float(a.mean()),
            "made_score": float(bald(fitted.log_probs(made)).mean()),
            "twin_distance": sum(float((one - other / 255).norm()) for one, other in zip(twins, x, strict=True)) / 5,
            "twin_score": float(near.mean()),
            "twin_score_gap": float((near - a).abs().mean()),
            "twin_agreement": float((fitted.log_probs(stored(twins)).exp().mean(1).argmax(1) == y).double().mean()),
        },
        rel=1e-5,
    )
    for name, images in (("bought", x), ("twins", stored(twins)), ("generated", made)):
        assert torch.equal(memory.shown[2, name], images)
    assert set(watched(experiment(Acgan))[0].facts[1]) == {"bought_score", "made_score"}


@pytest.mark.parametrize(
    ("kind", "options"), [(VaeAcgan, {}), (VaeAcgan, {"keep": True}), (Acgan, {}), (Acgan, {"samples": 1})], ids=str
)
def test_a_resumed_run_has_the_same_rows(kind: type[Generating], options: dict[str, Any]) -> None:
    wanted = experiment(kind, **options)
    if options.get("samples") == 1:
        wanted = replace(wanted, strategy=Random())
    whole, _ = watched(wanted)
    torch.rand(7)
    again, _ = watched(wanted)
    assert again.untimed() == whole.untimed() and again.facts == whole.facts
    cut = toy.Memory()
    cut.ids, cut.rows, cut.facts = whole.ids[:3], whole.rows[:2], whole.facts[:3]
    resumed, _ = watched(wanted, cut)
    assert resumed.untimed() == whole.untimed()
    assert torch.equal(torch.cat(resumed.ids), torch.cat(whole.ids))


@pytest.mark.parametrize("kind", BOTH)
def test_its_classifier_starts_from_the_weights_that_learner_plain_has(kind: type[Generating]) -> None:
    pool = toy.bought(toy.data_set(), toy.data_set().train[:12])
    data = toy.experiment().train_data(pool)

    def ones(net: nn.Module) -> None:
        for weight in net.parameters():
            nn.init.constant_(weight, 1.0)

    for init in (None, ones):
        asked = [
            made.fit(data, Streams(3, 1), None).send(None)[0]
            for made in (learner(kind, recipe=toy.recipe(init=init)), Plain(BUILD, toy.recipe(init=init)))
        ]
        ours, plain = (initial_net(fit) for fit in asked)
        for one, other in zip(ours.get_submodule("classifier").parameters(), plain.parameters(), strict=True):
            assert torch.equal(one, other)
        assert not bool((next(ours.get_submodule("generator").parameters()) == 1).any())  # theirs is not the recipe's


@pytest.mark.parametrize("kind", BOTH)
def test_a_lock_step_sweep_trains_it_alone_and_says_so(kind: type[Generating], caplog: Any) -> None:
    caplog.set_level("INFO")
    data = toy.experiment().train_data(toy.bought(toy.data_set(), toy.data_set().train[:12]))
    fits = [learner(kind).fit(data, Streams(seed, 0), None).send(None)[0] for seed in (0, 1)]
    together = Stacked(max_stacked=2).train_all(fits)
    (line,) = caplog.messages
    assert "train one by one" in line and "the learner takes steps of its own" in line
    for result, fit in zip(together, fits, strict=True):
        assert isinstance(result, Trained)
        for one, other in zip(result.net.parameters(), train(fit).net.parameters(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("kind", BOTH)
def test_a_loss_that_is_not_finite_ends_the_run_at_its_step(kind: type[Generating]) -> None:
    """Whichever part it is that diverges: here those beside the classifier, from the second check's first step on."""
    wanted = experiment(kind, optimizer=partial(torch.optim.SGD, lr=1e-3), schedule=Drops(after=[1], by=1e30))
    memory = toy.Memory()
    with pytest.raises(NonFiniteLoss, match="not finite at step 5"):
        watched(wanted, memory)
    assert memory.rows == []


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("model", [resnet, preact_resnet], ids=lambda model: model.__name__)
def test_a_residual_net_with_dropout_before_its_last_layer_has_posterior_samples(
    kind: type[Generating], model: Any
) -> None:
    build = net_builder(toy.data_set(), partial(model, blocks=[1, 1], width=2, dropout=0.5))
    *_, dropout, last = build().modules()
    assert isinstance(dropout, nn.Dropout) and dropout.p == 0.5 and isinstance(last, nn.Linear)
    data = toy.experiment().train_data(toy.bought(toy.data_set(), toy.data_set().train[:12]))
    made = learner(kind, build=build, recipe=toy.recipe(max_checks=1))
    fitted = drive(made.fit(data, Streams(0, 0), None), train_all)
    log_probs = fitted.log_probs(toy.data_set().images[:7])
    assert log_probs.shape == (7, 4, 3) and float(log_probs.std(1).max()) > 0


@pytest.mark.parametrize("kind", BOTH)
def test_what_it_can_t_do_is_said_before_any_training(kind: type[Generating]) -> None:
    with pytest.raises(
        UsageError, match=r"training\.augment can't be used with a learner that makes images; use learner=dropout"
    ):
        learner(kind, recipe=toy.recipe(augment=FlipAndShift))

    def without(shape: tuple[int, int, int], classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(36, classes))

    build = net_builder(toy.data_set(), without)
    with pytest.raises(
        UsageError, match=r"learner\.samples is 4, but the net has no dropout layers; use model\.dropout"
    ):
        learner(kind, build=build)
    assert learner(kind, build=build, samples=1).gives.samples == 1
    with pytest.raises(UsageError, match="images of 2 x 2 pixels are too small"):
        learner(
            kind,
            build=replace(BUILD, image_shape=(1, 2, 2), model=lambda shape, classes: toy.model((1, 6, 6), classes)),
        )
    with pytest.raises(UsageError, match=r"makes images with pixels of 0 .. 255, and the data set holds floats"):
        learner(kind, build=net_builder(replace(toy.data_set(), images=toy.data_set().images.float()), toy.model))
