"""GAAL: the search against its aim, the generator trained once, and a whole run whose images no data set has."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
import torch
import toy
from made_fits import Watching, watched
from torch import Tensor, nn

from al_runner.engine.drive import drive
from al_runner.errors import UsageError
from al_runner.generative.dcgan import Dcgan
from al_runner.learners.linear_svm import LinearSvm
from al_runner.loop.experiment import Experiment
from al_runner.models.inputs import net_builder
from al_runner.oracle.classifier import Classifier
from al_runner.oracle.simulated import Simulated
from al_runner.pool import UNKNOWN
from al_runner.rng import Streams
from al_runner.strategies.gaal import Gaal, NetAndGenerator
from al_runner.training import Recipe
from al_runner.types import DataSet, Fitted, TrainData
from al_runner.wrapped import Wrapped

ADAM = partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.999))
GAAL = Gaal(Recipe(ADAM, batch_size=20, check_passes=3, max_checks=1), latent=4, maps=2, units=8, steps=40)


def two_classes() -> DataSet:
    """The toy data set's first two classes; ids stay rows of all images."""
    data = toy.data_set()
    parts = {part: ids[data.labels[ids] < 2] for part in ("train", "val", "test") for ids in [getattr(data, part)]}
    return replace(data, classes=("a", "b"), **parts)


@dataclass
class Oracle:
    """Labels by the brighter of two rows; can't tell every third image that it is asked about."""

    data: DataSet
    asked: list[Tensor] = field(default_factory=list)

    async def label(self, ids: Tensor) -> Tensor:
        return self.data.labels[ids]

    async def judge(self, x: Tensor) -> Tensor:
        self.asked.append(x)
        rows = x.double().mean((1, 3))
        labels = (rows[:, 2] > rows[:, 0]).long()
        return torch.where(torch.arange(len(x)) % 3 == 2, UNKNOWN, labels)


def experiment(oracle: Any = None, passes: int = 3) -> Experiment:
    """With more passes the generator's images depend more on its codes."""
    data = two_classes()
    learner = LinearSvm(net_builder(data, toy.model))
    gaal = replace(GAAL, recipe=replace(GAAL.recipe, check_passes=passes))
    return replace(toy.experiment(gaal), data=data, learner=learner, oracle=oracle or Oracle(data))


@dataclass(frozen=True)
class Watched(Wrapped):
    """A learner, and what it was given to train on."""

    seen: list[TrainData] = field(default_factory=list)

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> Fitted:
        self.seen.append(data)
        return await self.base.fit(data, streams, previous)


def net(bias: float = 0.3) -> NetAndGenerator:
    torch.manual_seed(0)
    layer, generator = nn.Linear(6, 2), nn.Sequential(nn.Linear(4, 6), nn.Sigmoid())
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0], [0.1]]) * torch.tensor([1.0, -2, 1, 0.5, -1, 1]))
        layer.bias.copy_(torch.tensor([0.0, bias]))
    return NetAndGenerator(layer, generator).eval()


def test_a_search_ends_near_the_boundary_and_no_code_goes_on_once_it_is_near_enough() -> None:
    made = net()
    first = torch.randn(8, 4, generator=torch.Generator().manual_seed(1))
    weight, bias = made.net.weight[1], made.net.bias[1]
    by_hand = (255 * made.generator(first)) @ weight + bias
    torch.testing.assert_close(made.difference(first), by_hand)
    z, steps = replace(GAAL, enough=0.5, steps=300).search(made.difference, first)
    found, by_hand = made.difference(z).detach().abs(), by_hand.detach()
    assert float(found.max()) < 0.5 < float(by_hand.abs().max()) and 0 < steps < 300
    near = by_hand.abs() < 0.5
    assert torch.equal(z[near], first[near]) or not bool(near.any())
    assert not torch.equal(z, first)
    same, none = replace(GAAL, enough=1e9).search(made.difference, first)
    assert torch.equal(same, first) and none == 0


def test_one_step_is_adam_s_on_the_absolute_difference() -> None:
    made = net()
    first = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    z, steps = replace(GAAL, enough=1e-6, steps=1).search(made.difference, first)
    (gradient,) = torch.autograd.grad(made.difference(leaf := first.clone().requires_grad_()).abs().sum(), leaf)
    torch.testing.assert_close(z, first - GAAL.rate * gradient.sign(), rtol=0, atol=1e-4)  # Adam's first step
    assert steps == 1


def test_made_images_have_ids_of_their_own_and_are_bought_unless_the_oracle_can_t_tell() -> None:
    wanted = experiment(passes=30)
    spy = Watched(wanted.learner)
    before = wanted.data.images.clone()
    memory, fits = watched(replace(wanted, learner=spy))
    first_id = len(wanted.data.images)
    assert [ids.tolist() for ids in memory.ids[1:]] == [
        [*range(first_id + 5 * k, first_id + 5 * k + 5)] for k in range(4)
    ]
    assert bool(torch.isin(memory.ids[0], wanted.data.train).all())
    assert [row["labelled"] for row in memory.rows] == [6, 11, 16, 21, 26]  # that the oracle was asked about
    assert [len(data.y) for data in spy.seen] == [6, 10, 14, 18, 22]  # of five the third is undecided
    last = spy.seen[-1]
    for round_, images in memory.images.items():
        told = images[torch.tensor([0, 1, 3, 4])]
        assert torch.equal(last.x[2 + 4 * round_ : 6 + 4 * round_], told)
        labels = (told.double().mean((1, 3))[:, 2] > told.double().mean((1, 3))[:, 0]).long()
        assert torch.equal(last.y[2 + 4 * round_ : 6 + 4 * round_], labels)
    assert [facts["undecided"] for facts in memory.facts[1:]] == [1, 1, 1, 1]
    assert all(images.dtype == torch.uint8 and images.shape == (5, 1, 6, 6) for images in memory.images.values())
    assert torch.equal(wanted.data.images, before)
    (fit,) = fits  # the generator, once; the machine is no engine's
    assert isinstance(fit.joint, Dcgan)
    unlabelled = wanted.data.train[~torch.isin(wanted.data.train, memory.ids[0])]
    assert torch.equal(fit.data.x, before[unlabelled])
    assert all(facts["difference"] < facts["difference_before"] for facts in memory.facts[1:])


@pytest.mark.parametrize(("ids", "rows"), [(3, 2), (3, 3), (2, 2), (1, 1)])
def test_a_resumed_run_has_the_same_rows_and_images(ids: int, rows: int) -> None:
    whole, _ = watched(experiment())
    again, _ = watched(experiment())
    assert again.untimed() == whole.untimed() and again.facts == whole.facts
    cut = toy.Memory()
    cut.ids, cut.rows, cut.facts = whole.ids[:ids], whole.rows[:rows], whole.facts[:ids]
    cut.images = {round_: images for round_, images in whole.images.items() if round_ < ids}
    resumed, _ = watched(experiment(), cut)
    assert resumed.untimed() == whole.untimed() and resumed.facts == whole.facts
    assert all(torch.equal(resumed.images[round_], whole.images[round_]) for round_ in whole.images)


def test_images_that_wait_for_a_label_are_put_back_and_not_made_again() -> None:
    whole, _ = watched(experiment())
    cut = toy.Memory()
    cut.ids, cut.rows, cut.facts = whole.ids[:2], whole.rows[:2], whole.facts[:2]
    cut.images = {round_: whole.images[round_] for round_ in (1, 2)}
    cut.choices, cut.said = {2: whole.choices[2]}, whole.choices[2][0].tolist()
    made = cut.images[2]
    resumed, _ = watched(experiment(), cut)
    assert resumed.untimed() == whole.untimed() and resumed.facts == whole.facts
    assert resumed.images[2] is made


def test_an_oracle_that_knows_the_data_set_alone_is_refused() -> None:
    wanted = experiment(Simulated(two_classes()))
    with pytest.raises(UsageError, match=r"Gaal makes images of its own.*use oracle=classifier"):
        watched(wanted)
    with pytest.raises(UsageError, match=r"Gaal makes images of its own.*use oracle=classifier"):
        assert wanted.purchases  # which every run asks for before any training


def test_more_than_two_classes_are_refused() -> None:
    with pytest.raises(UsageError, match="between two classes, and there are 3; use a data set of two"):
        GAAL.check(net_builder(toy.data_set(), toy.model)(), toy.data_set().images[:2])


def test_images_of_floats_are_refused() -> None:
    with pytest.raises(UsageError, match=r"strategy=gaal makes .*pixels.*; use another .*dataset\.values=float"):
        GAAL.check(toy.model((1, 6, 6), 2), torch.zeros(2, 1, 6, 6))


def test_the_classifier_that_stands_for_a_person_answers_where_it_is_sure() -> None:
    data = two_classes()
    oracle = Classifier(data, toy.model, toy.recipe(max_checks=40), sure=0.9, most_error=0.2)
    x = data.images[data.test]
    engine = Watching()
    labels = drive(oracle.judge(x), engine)
    assert torch.equal(drive(oracle.judge(x), engine), labels)
    (fit,) = engine.fits  # trained once, on what may be trained on
    assert torch.equal(fit.data.x, data.images[data.train]) and torch.equal(fit.data.y, data.labels[data.train])
    net = drive(oracle.answering.net(), engine)
    confidence, classes = net(x).softmax(1).max(1)
    assert torch.equal(labels, torch.where(confidence >= 0.9, classes, UNKNOWN))
    assert 0 < int((labels == UNKNOWN).sum()) < len(x)
    told = labels != UNKNOWN
    assert float((labels == data.labels[data.test])[told].double().mean()) > 0.9
    assert torch.equal(drive(oracle.label(data.train[:4])), data.labels[data.train[:4]])


def test_it_needs_validation_images_that_no_budget_pays_for() -> None:
    data = two_classes()
    with pytest.raises(UsageError, match=r"needs validation images of the data set's own; .* dataset\.split\.val"):
        Classifier(replace(data, val=data.val[:0]), toy.model, toy.recipe())


def test_an_oracle_that_errs_too_often_is_refused() -> None:
    oracle = Classifier(two_classes(), toy.model, toy.recipe(max_checks=1, check_every=1), most_error=0.0)
    with pytest.raises(
        UsageError, match=r"is wrong on .*%.*more than oracle\.most_error=0\.0; use a better oracle\.model"
    ):
        drive(oracle.judge(toy.data_set().images[:3]))
