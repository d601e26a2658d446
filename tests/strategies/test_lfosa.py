"""LfOSA: its detector, the mixture by another way, and what it buys of a pool with images of no class."""

from dataclasses import replace

import pytest
import torch
import toy
from torch import nn

from al_runner.data.digits import digits
from al_runner.data.open_set import open_set
from al_runner.data.split import Split
from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train_all
from al_runner.errors import UsageError
from al_runner.learners.linear_svm import LinearSvm
from al_runner.learners.plain import Plain
from al_runner.loop.experiment import Experiment
from al_runner.models.inputs import net_builder
from al_runner.models.small_cnn import small_cnn
from al_runner.oracle.simulated import Simulated
from al_runner.rng import stream
from al_runner.strategies.lfosa import DetectorBuilder, LfOSA, Noting, of_the_larger_mean, surest
from al_runner.strategies.random import Random


def two_heaps(low: int, high: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.cat([torch.randn(low, generator=rng), 8 + torch.randn(high, generator=rng)]).double()


def test_a_value_is_as_sure_as_it_is_of_the_upper_heap() -> None:
    """Against Bayes' rule with the heaps' own means and deviations, which are far apart."""
    values = two_heaps(300, 200)
    lower, upper = values[:300], values[300:]

    def density(heap: torch.Tensor) -> torch.Tensor:
        spread = heap.std(correction=0)
        return len(heap) / len(values) * (-(((values - heap.mean()) / spread) ** 2) / 2).exp() / spread

    expected = density(upper) / (density(lower) + density(upper))
    found = of_the_larger_mean(values, stream(0, "query"))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.01)
    assert bool((found[:300] < 0.5).all() and (found[300:] > 0.5).all())


def test_every_class_has_its_own_mixture_and_what_is_taken_for_none_comes_last() -> None:
    """Class 1 has ten times the outputs of class 0; a common mixture would take all of class 0 for the lower heap."""
    small, large, none = two_heaps(60, 40), 10 * two_heaps(60, 40) + 200, torch.full((50,), 500.0).double()
    outputs = torch.full((250, 3), -1000.0, dtype=torch.float64)
    outputs[:100, 0], outputs[100:200, 1], outputs[200:, 2] = small, large, none
    outputs[200:, 0] = torch.arange(50).double() - 900  # if they must be bought: the highest of a known class first
    order = surest(outputs, 250, stream(0, "query")).tolist()
    assert {*order[:80]} == {*range(60, 100), *range(160, 200)}
    assert {*order[80:200]} == {*range(60), *range(100, 160)}
    assert order[200:] == [*reversed(range(200, 250))]
    assert surest(outputs, 7, stream(0, "query")).tolist() == order[:7]


def test_an_image_that_is_alone_in_its_class_is_not_sure() -> None:
    outputs = torch.tensor([[9.0, 0, 0], [0, 1, 0], [0, 1.1, 0], [0, 5, 0], [0, 0, 9]])
    assert surest(outputs, 1, stream(0, "query")).tolist() == [3]  # and not 0, whose output is larger


def test_the_detector_is_the_net_with_one_more_output_and_its_own_weights() -> None:
    build = net_builder(toy.data_set(), toy.model)
    net, data = build(), toy.data_set()
    torch.manual_seed(0)
    detector = DetectorBuilder(build, 4, 0.5)()
    x = data.images[:3]
    assert detector(x).shape == (3, 4)
    assert [w.shape for w in detector.parameters()][:-2] == [w.shape for w in net.parameters()][:-2]
    logits = detector[0].eval()(x)
    torch.testing.assert_close(detector.eval()(x), logits)
    torch.testing.assert_close(detector[1].train()(logits), 2 * logits)
    assert repr(DetectorBuilder(build, 4, 0.5)) == repr(DetectorBuilder(replace(build), 4, 0.5))
    assert repr(DetectorBuilder(build, 4, 0.5)) != repr(DetectorBuilder(build, 5, 0.5))


def test_the_run_s_own_fits_stay_as_they_are() -> None:
    plain = Plain(net_builder(toy.data_set(), toy.model), toy.recipe())
    run = toy.experiment(Random())
    memories = [toy.Memory(), toy.Memory()]
    for learner, memory in zip((plain, Noting(plain)), memories, strict=True):
        drive(replace(run, learner=learner).run(memory), train_all)
    assert memories[0].untimed() == memories[1].untimed()


def test_a_run_resumed_anywhere_equals_one_never_interrupted() -> None:
    data = open_set(toy.data_set(), known=2)
    learner = Plain(net_builder(data, toy.model), toy.recipe())
    run = Experiment(data, learner, LfOSA(), toy.Budget(initial=12, query=6, max_rounds=3), 0, Simulated(data))
    whole = toy.Memory()
    drive(run.run(whole), train_all)
    for rounds in (1, 2, 3):
        cut = toy.Memory()
        cut.ids, cut.facts, cut.rows, cut.by_class = (
            list(held[:rounds]) for held in (whole.ids, whole.facts, whole.rows, whole.by_class)
        )
        drive(run.run(cut), train_all)
        assert cut.untimed() == whole.untimed()
        assert all(map(torch.equal, cut.ids, whole.ids))


def test_nearly_all_that_it_buys_is_of_a_known_class() -> None:
    """Digits, of which six in ten are of no class. Random buys as they lie in the pool."""
    data = open_set(digits("", Split(val=100, test=300)), known=4)
    share = float((data.labels[data.train] >= 0).float().mean())
    assert share < 0.45
    build = net_builder(data, small_cnn)
    budget = toy.Budget(initial=40, query=20, max_rounds=3)
    recipe = toy.recipe(check_every=40, max_checks=5, patience=5)
    memory = toy.Memory()
    run = Experiment(data, Plain(build, recipe), LfOSA(), budget, 0, Simulated(data))
    drive(run.run(memory), train_all)
    later = torch.cat(memory.ids[2:])  # the first query knows few images of no class
    assert float((data.labels[later] >= 0).float().mean()) > 0.8 > 1.5 * share


def test_what_it_can_t_work_with_is_refused() -> None:
    x = torch.zeros(2, 1, 8, 8)
    for last in (nn.ReLU(), nn.Sequential(nn.Linear(64, 5), nn.Unflatten(1, (5, 1)), nn.Conv1d(5, 3, 1), nn.Flatten())):
        net = nn.Sequential(nn.Flatten(), last)
        with pytest.raises(UsageError, match="lfosa needs a net whose last layer is dense; use another model="):
            LfOSA().called("lfosa").check(net, x)
    with pytest.raises(UsageError, match="a net to which it can add layers"):
        LfOSA().called("lfosa").check_learner(LinearSvm(net_builder(toy.data_set(), toy.model)))
