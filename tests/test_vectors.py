"""Every strategy on vectors, by the nets that are for them."""

from dataclasses import replace
from functools import partial

import pytest
import test_contract
import torch
import toy
from torch import nn

from al_runner.budget import Budget
from al_runner.engine import one_by_one, stacked
from al_runner.engine.drive import Engine, drive
from al_runner.errors import UsageError
from al_runner.loop.experiment import Experiment
from al_runner.models.inputs import net_builder
from al_runner.models.linear_probe import linear_probe
from al_runner.models.mlp import mlp
from al_runner.oracle.simulated import Simulated
from al_runner.testing.case import LEARNERS, Case
from al_runner.types import DataSet

NETS = {"linear_probe": partial(linear_probe, dropout=0.3), "mlp": partial(mlp, hidden=(16,), dropout=0.2)}


def vectors(n: int = 120) -> DataSet:
    """Three classes around three centres; the numbers of a vector are of different sizes."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (n,), generator=rng)
    x = torch.randn(n, 8, generator=rng) + 4 * torch.nn.functional.one_hot(labels, 8)
    x *= torch.logspace(-3, 3, 8)
    ids = torch.arange(n)
    parts = ids[ids % 4 < 2], ids[ids % 4 == 2], ids[ids % 4 == 3]
    return DataSet(x[:, :, None, None], labels, *parts, ("a", "b", "c"))


def ran(case: Case, net: str, train: Engine = one_by_one.train_all, rounds: int = 1) -> toy.Memory:
    data = vectors()
    build = net_builder(data, NETS[net])
    learner = LEARNERS[case.learner](build, toy.recipe(max_checks=4 if rounds == 1 else 40))
    budget = Budget(initial=8, query=5, max_rounds=rounds)
    experiment = Experiment(data, learner, case.strategy, budget, 0, Simulated(data))
    case.strategy.check_learner(case.strategy.wrap(learner))
    case.strategy.check(build().eval(), data.images[:2])
    record = toy.Memory()
    drive(experiment.run(record), train)
    return record


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", test_contract.CASES)
def test_every_strategy_chooses_vectors(name: str, net: str) -> None:
    case = test_contract.CASES[name]
    if (name, net) == ("learning_loss-plain", "linear_probe"):  # it has no layer that could be read
        with pytest.raises(UsageError, match="reads feature maps or hidden layers, and this net has none"):
            ran(case, net)
        return
    record = ran(case, net)
    bought = torch.cat(record.ids)
    assert len(bought.unique()) == len(bought) == 8 + 5
    assert torch.isin(bought, vectors().train).all()
    assert all(0 <= row["test_error"] <= 1 for row in record.rows)


@pytest.mark.parametrize("net", NETS)
def test_nets_for_vectors_learn_and_are_stacked(net: str) -> None:
    case = Case(test_contract.built("margin"), "plain")
    alone = ran(case, net, rounds=4)
    assert alone.rows[-1]["test_error"] < 0.3
    together = ran(case, net, stacked.Stacked().train_all, rounds=4)
    assert [ids.tolist() for ids in together.ids] == [ids.tolist() for ids in alone.ids]


def test_half_precision_is_made_single_by_the_first_layer() -> None:
    data = vectors()
    net = net_builder(data, NETS["linear_probe"])().eval()
    few = data.images[:4].to(torch.float16)
    assert torch.allclose(net(few), net(few.float()))


def test_a_probe_scales_by_all_images_unless_it_has_batch_norm() -> None:
    """Feature 0 is the same in all labelled images. BatchNorm, which sees no others, makes it huge in the others."""
    data = vectors()
    images, few = data.images.clone(), data.train[:5]
    images[few, 0] = images[few[0], 0].clone()
    greatest = {}
    for batch_norm in (False, True):
        build = net_builder(replace(data, images=images), partial(linear_probe, dropout=0.0, batch_norm=batch_norm))
        net, seen = build(), list[torch.Tensor]()
        next(layer for layer in net.modules() if isinstance(layer, nn.Linear)).register_forward_hook(
            lambda _, inputs, __, seen=seen: seen.append(inputs[0])
        )
        for _ in range(200):  # until the moving averages have settled
            net.train()(images[few])
        net.eval()(images[data.train])
        greatest[batch_norm] = float(seen[-1][:, 0].abs().max())
    assert greatest[False] < 5
    assert greatest[True] > 100
