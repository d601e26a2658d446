"""DeepFool against the closed form of linear classifiers, and the twins."""

from itertools import pairwise
from math import inf

import pytest
import torch
import toy
from torch import Tensor, nn

from al_runner.engine.drive import drive
from al_runner.errors import UsageError
from al_runner.learners.plain import SingleNet
from al_runner.rng import Streams, stream
from al_runner.strategies.deepfool import CHUNK, DeepFool, to_boundary
from al_runner.strategies.dfal import Dfal, Twinned
from al_runner.types import Fitted, TrainData


def linear(classes: int, inputs: int = 12) -> nn.Module:
    torch.manual_seed(classes)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, classes)).double().eval()


def images(n: int) -> Tensor:
    return torch.randint(0, 256, (n, 1, 3, 4), generator=torch.Generator().manual_seed(n)).to(torch.uint8)


def closed_form(net: nn.Module, x: Tensor) -> Tensor:
    """Min over k != y of |f_k - f_y| / ||w_k - w_y||, one example and class after another."""
    weight = net[1].weight.detach()  # type: ignore[index]
    found = []
    for f in net(x.double()).detach():
        y = int(f.argmax())
        others = [k for k in range(len(f)) if k != y]
        found.append(min(abs(f[k] - f[y]) / (weight[k] - weight[y]).norm() for k in others))
    return torch.stack(found)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_distance_of_a_linear_classifier_is_the_closed_form(classes: int) -> None:
    net, x = linear(classes), images(CHUNK + 20)
    for search in (DeepFool(), DeepFool(steps=1), DeepFool(overshoot=0.5), DeepFool(overshoot=0)):
        assert torch.allclose(search.distances(net, x), closed_form(net, x), rtol=1e-12)


def test_without_an_overshoot_every_image_ends_on_the_boundary_in_single_precision_too() -> None:
    """The rest of the lead after rounding may have any sign: no distance is infinite, and none has a further step."""
    net, x = linear(3, 36), toy.data_set().images
    exact = closed_form(net, x)
    for precision, rounding in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        distances = DeepFool(overshoot=0).distances(net.to(precision), x)
        assert torch.allclose(distances.double(), exact, rtol=rounding)
        assert torch.equal(distances.argsort(stable=True), exact.argsort(stable=True))


def test_a_boundary_beyond_the_range_of_float32_gives_no_nan() -> None:
    """The boundary is 1e20 away; the squares of slopes and of the distance are outside the range of float32."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).eval()
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[1e-21] * 11 + [0.0], [-1e-21] * 11 + [0.0]]))
        net[1].bias.copy_(torch.tensor([1.0, 0.0]))
    assert DeepFool().distances(net, images(5)).tolist() == [inf] * 5


def test_a_net_of_two_classes_needs_newton_s_steps() -> None:
    """f = (0, u^2 - 4) of one pixel u. Here DeepFool is Newton's method, which finds the root 2 from u = 5."""

    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.root = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            u = x.flatten(1)
            return torch.cat([0 * u, u.square() - self.root**2], 1)

    u, newton = 5.0, []
    for _ in range(4):
        u -= (u * u - 4) / (2 * u)
        newton.append(u)
    x = torch.full((1, 1, 1, 1), 5, dtype=torch.uint8)
    assert float(5 + to_boundary(Square(), x.double(), torch.tensor([1]))) == pytest.approx(newton[0], rel=1e-12)
    # With an overshoot of 0 convex Newton never crosses the root in exact arithmetic: the search gives up.
    assert DeepFool(steps=3, overshoot=0).distances(Square(), x).tolist() == [inf]
    crossing = DeepFool(steps=20, overshoot=0.02).distances(Square(), x)
    assert float(crossing) * 1.02 >= 3 > float(crossing) * 0.98


def test_the_change_leads_to_another_class_and_is_no_longer_than_found() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, 4)).double().eval()
    x, search = images(30).double() / 100, DeepFool(steps=30)
    twins, fooled = search.twins(net, x)
    assert int(fooled.sum()) > 20
    assert torch.equal(net(twins).argmax(1) != net(x).argmax(1), fooled)
    lengths = (twins - x).flatten(1).norm(dim=1) / 1.02
    assert torch.allclose(search.distances(net, x)[fooled], lengths[fooled], rtol=1e-10)
    assert bool((search.distances(net, x)[~fooled] == inf).all())


def test_images_are_treated_one_by_one() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, 4)).double().eval()
    x = images(12).double() / 100
    apart = torch.cat([DeepFool().distances(net, image[None]) for image in x])
    assert torch.allclose(DeepFool().distances(net, x), apart, rtol=1e-10)


def test_a_tie_has_distance_0_and_no_gradient_an_infinite_distance() -> None:
    net = linear(2)
    with torch.no_grad():
        net[1].weight[1], net[1].bias[1] = net[1].weight[0], net[1].bias[0]  # type: ignore[index]
    assert DeepFool().distances(net, images(3)).tolist() == [0.0, 0.0, 0.0]
    with torch.no_grad():
        net[1].bias[1] += 1  # type: ignore[index]
    assert DeepFool().distances(net, images(3)).tolist() == [inf, inf, inf]


def test_nan_predictions_are_refused() -> None:
    net = linear(2)
    nn.init.constant_(net[1].bias, float("nan"))  # type: ignore[index]
    with pytest.raises(ArithmeticError, match="NaN"):
        DeepFool().distances(net, images(2))


def test_the_nearest_are_chosen_as_absolute_ids() -> None:
    data = toy.data_set()
    pool = toy.bought(data, data.train[:5])
    pool.draw_candidates(30, stream(0, "candidates"))
    net = linear(3, 36)
    order = closed_form(net, data.images[pool.candidates]).argsort()[:6]
    assert torch.equal(Dfal().select(SingleNet(net, 0), pool, 6, stream(0, "query")), pool.candidates[order])


class Linear:
    """A learner that records the data that it gets and returns one linear net after the other."""

    continues = False

    def __init__(self) -> None:
        self.seen: list[TrainData] = []

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> SingleNet:
        assert previous is None or isinstance(previous, SingleNet)
        self.seen.append(data)
        torch.manual_seed(len(self.seen))
        return SingleNet(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).double().eval(), 7)


def test_the_net_that_chose_a_query_makes_its_twins_and_they_stay() -> None:
    base, x, y = Linear(), images(9), torch.arange(9) % 3
    learner = Dfal(twins=True).wrap(base)
    fitted: list[Fitted] = []
    for old, bought in pairwise((0, 4, 6, 9)):
        data = TrainData(x[:bought], y[:bought], x[:1], y[:1], old=old)
        fitted.append(drive(learner.fit(data, Streams(0, 0), fitted[-1] if fitted else None)))
    assert learner.continues
    assert [len(data.y) for data in base.seen] == [4, 6 + 2, 9 + 2 + 3]
    assert base.seen[2].y.tolist() == [*y.tolist(), *y[4:].tolist()]
    assert torch.equal(base.seen[2].x[:9], x)
    for (start, end), net in zip(pairwise((4, 6, 9)), fitted, strict=False):
        twins = base.seen[2].x[9 - 4 + start : 9 - 4 + end]
        assert torch.equal(twins, DeepFool().twins(net.network(), x[start:end])[0])
        assert not bool((net.network()(twins).argmax(1) == net.network()(x[start:end].double()).argmax(1)).any())
    last = fitted[-1]
    assert isinstance(last, Twinned)
    assert torch.equal(last.log_probs(x.double()), last.network()(x.double()).log_softmax(1)[:, None])
    assert torch.equal(last.features(x.double()), x.double().flatten(1))
    assert last.steps == 7


def test_only_bought_examples_get_twins() -> None:
    """Not those that another part has added, such as pseudo-labelled ones."""
    base, x, y = Linear(), images(9), torch.arange(9) % 3
    learner = Dfal(twins=True).wrap(base)
    before = drive(learner.fit(TrainData(x[:4], y[:4], x[:1], y[:1]), Streams(0, 0), None))
    data = TrainData(x[:6], y[:6], x[:1], y[:1], old=4).plus(x[6:], y[6:])
    drive(learner.fit(data, Streams(0, 1), before))
    assert base.seen[1].y.tolist() == [*y.tolist(), *y[4:6].tolist()]


@pytest.mark.parametrize("rounds", [0, 2, 3])
def test_a_run_with_twins_resumes(rounds: int) -> None:
    def run(memory: toy.Memory, strategy: Dfal) -> toy.Memory:
        drive(toy.experiment(strategy).run(memory))
        return memory

    whole, part = run(toy.Memory(), Dfal(twins=True)), toy.Memory()
    plain = run(toy.Memory(), Dfal())
    assert whole.untimed()[0] == plain.untimed()[0]
    assert whole.untimed()[1:] != plain.untimed()[1:]
    part.ids, part.rows = whole.ids[:rounds], whole.rows[:rounds]
    assert run(part, Dfal(twins=True)).untimed() == whole.untimed()


def test_options_that_mean_nothing_are_refused() -> None:
    for options, named in (({"steps": 0}, "strategy.steps"), ({"overshoot": -0.1}, "strategy.overshoot")):
        with pytest.raises(UsageError, match=named):
            Dfal(**options)  # type: ignore[arg-type]
