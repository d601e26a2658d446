"""The ranking loss by hand, the cut, the module beside a net in both engines, and whole runs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest
import torch
import toy
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train
from al_runner.engine.schedules import OneCycle
from al_runner.engine.stacked import train_stack
from al_runner.engine.stopping import NonFiniteLoss
from al_runner.errors import UsageError
from al_runner.learners.dropout import Dropout
from al_runner.learners.ensemble import Ensemble
from al_runner.learners.fine_tuned import FineTuned
from al_runner.learners.plain import Plain
from al_runner.models.inputs import net_builder
from al_runner.models.resnet import resnet
from al_runner.rng import Streams, stream
from al_runner.strategies.learning_loss import LearningLoss, PredictingLosses, predicted_losses
from al_runner.strategies.loss_prediction import Build, WithLossPrediction, feature_maps, ranking_loss, with_ranking
from al_runner.strategies.rewriting import rewriting
from al_runner.training import Fit, Trained
from al_runner.types import Learner, TrainData

BUILD = net_builder(toy.data_set(), toy.model)


def train_data(n: int = 24) -> TrainData:
    data = toy.data_set()
    return TrainData(data.images[data.train[:n]], data.labels[data.train[:n]], *data.validation)


def fit(seed: int = 0, n: int = 24, strategy: LearningLoss | None = None, **changes: object) -> Fit:
    """The fit of the toy net with its module that the strategy asks for."""
    learner = PredictingLosses(Plain(BUILD, toy.recipe(**changes)), strategy or LearningLoss(hidden=5))
    return learner.with_module(Fit(BUILD, toy.recipe(**changes), train_data(n), Streams(seed, 0)))


def test_the_ranking_loss_by_hand() -> None:
    """Pairs (1, 5) and (2, 4), the third left out: max(0, -(2 - 0.5) + 1) = 0 and max(0, (0.25 - 1) + 1) = 0.25."""
    target = torch.tensor([3.0, 1.0, 9.0, 2.0, 1.0])
    predicted = torch.tensor([2.0, 0.25, 9.0, 1.0, 0.5])
    assert float(ranking_loss(predicted, target, 1.0)) == 0.125
    # The other way round: max(0, (2 - 0.5) + 1) = 2.5 and max(0, -(0.25 - 1) + 1) = 1.75.
    assert float(ranking_loss(predicted, -target, 1.0)) == 2.125
    # A tie counts as the second's: max(0, (2 - 1) + 0.5).
    assert float(ranking_loss(torch.tensor([2.0, 1.0]), torch.tensor([1.0, 1.0]), 0.5)) == 1.5
    assert float(ranking_loss(torch.tensor([2.0]), torch.tensor([1.0]), 1.0)) == 0.0


def test_the_loss_is_the_net_s_own_and_the_ranking_of_its_losses() -> None:
    torch.manual_seed(0)
    output, y = torch.randn(6, 5, dtype=torch.float64, requires_grad=True), torch.tensor([0, 3, 1, 2, 0, 1])
    logits, predicted = output[:, :4], output[:, 4]
    losses = cross_entropy(logits, y, reduction="none").tolist()
    ranking = 0.0
    for i, j in ((0, 5), (1, 4), (2, 3)):
        sign = 1 if losses[i] > losses[j] else -1
        ranking += max(0.0, -sign * float((predicted[i] - predicted[j]).detach()) + 1.5) / 3
    total = with_ranking(cross_entropy, output, y, margin=1.5, weight=2.0)
    assert float(total) == pytest.approx(sum(losses) / 6 + 2 * ranking, rel=1e-12)
    (gradient,) = torch.autograd.grad(total, output)
    (own,) = torch.autograd.grad(cross_entropy(logits, y), output)
    assert torch.equal(gradient[:, :4], own[:, :4])  # the losses to be ranked are constants


def test_the_module_reads_the_means_of_the_named_maps() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 4)).double()
    x = torch.rand(7, 1, 6, 6, dtype=torch.float64)
    module = WithLossPrediction(net, ["1", "4"], [2, 4], 5, 0).double()
    first, last = module.maps
    hidden = torch.cat([first(net[:2](x).mean((2, 3))).relu(), last(net(x)).relu()], 1)
    assert torch.allclose(module.losses(x), module.out(hidden)[:, 0], rtol=1e-12)
    assert torch.allclose(module.train()(x), torch.cat([net(x), module.out(hidden)], 1), rtol=1e-12)
    assert torch.equal(module.eval()(x), net(x))


def test_the_gradient_stops_at_the_maps_after_the_cut() -> None:
    module = Build(BUILD, train_data().x[:1], None, 5, cut=2)()
    for step in range(4):
        module.zero_grad()
        module(train_data().x)[:, -1].sum().backward()
        reached = [parameter.grad is not None and bool(parameter.grad.any()) for parameter in module.net.parameters()]
        assert any(reached) == (step < 2)
        assert all(bool(parameter.grad.any()) for parameter in module.out.parameters())  # type: ignore[union-attr]
        module.eval(), module(train_data().x), module.train()  # in evaluation no step is counted


def test_the_cut_is_in_passes_over_the_data() -> None:
    """24 images in minibatches of 7 are four steps in each pass."""
    cuts = [fit(strategy=LearningLoss(cut_after=passes), batch_size=7).build.cut for passes in (0, 3)]  # type: ignore[attr-defined]
    assert cuts == [0, 12]
    never = fit(strategy=LearningLoss(cut_after=None)).build
    assert never.cut > 10**9  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("passes", "options", "cut"),
    [(200, {}, 120), (30, {}, 18), (400, {}, 120), (30, {"cut_share": 0.5}, 15), (30, {"cut_after": 9}, 9)],
)
def test_a_shorter_training_is_cut_at_the_paper_s_share_of_it(passes: int, options: dict[str, float], cut: int) -> None:
    """With one check after all passes, as in training=one_cycle; a pass of 24 images is three steps."""
    asked = fit(strategy=LearningLoss(**options), check_every=1, check_passes=passes, max_checks=1)  # type: ignore[arg-type]
    assert asked.build.cut == 3 * cut  # type: ignore[attr-defined]


def test_the_cut_counts_the_minibatches_of_batch_norm() -> None:
    """17 images in minibatches of 8 are two steps for a net with BatchNorm, and three for a net without."""
    cuts = []
    for model in (toy.model, partial(resnet, blocks=(1, 1), width=4)):
        build = net_builder(toy.data_set(), model)
        learner = PredictingLosses(Plain(build, toy.recipe()), LearningLoss(cut_after=5))
        made = learner.with_module(Fit(build, toy.recipe(), train_data(17), Streams(0, 0)))
        cuts.append(made.build.cut)  # type: ignore[attr-defined]
    assert cuts == [15, 10]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_cycle_trains_net_and_module_in_either_precision(precision: str) -> None:
    """Only the net's own loss has smoothed labels; the module ranks the losses of the true labels."""
    build = net_builder(toy.data_set(), partial(resnet, blocks=(1, 1), width=4))
    recipe = toy.recipe(
        check_every=1, check_passes=20, max_checks=1, schedule=OneCycle(), label_smoothing=0.2, precision=precision
    )
    learner = PredictingLosses(Plain(build, replace(recipe, patience=1)), LearningLoss(hidden=5))
    asked = learner.with_module(Fit(build, learner.base.recipe, train_data(60), Streams(0, 0)))  # type: ignore[attr-defined]
    result = train(asked)
    assert result.steps == 20 * 8
    data = train_data(60)
    with torch.no_grad():
        assert float((result.net.eval()(data.x).argmax(1) == data.y).double().mean()) > 0.8
    output = torch.randn(6, 4)
    wanted = cross_entropy(output[:, :3], data.y[:6], label_smoothing=0.2)
    wanted += ranking_loss(output[:, 3], cross_entropy(output[:, :3], data.y[:6], reduction="none"), 1.0)
    assert torch.allclose(asked.criterion(output, data.y[:6]), wanted)


def test_a_module_cut_from_the_start_leaves_the_net_s_training_alone() -> None:
    plain = train(Fit(BUILD, toy.recipe(), train_data(), Streams(0, 0)))
    nets = [train(fit(strategy=LearningLoss(cut_after=passes))).net for passes in (0, 1, None)]
    same = [
        all(torch.equal(value, net.net.state_dict()[name]) for name, value in plain.net.state_dict().items())  # type: ignore[union-attr]
        for net in nets
    ]
    assert same == [True, False, False]
    weights = [net.net.state_dict()["net.0.weight"] for net in nets]  # type: ignore[union-attr]
    assert not torch.equal(weights[1], weights[2])


def test_margin_weight_and_layers_are_those_of_the_strategy() -> None:
    asked = fit(strategy=LearningLoss(hidden=5, margin=1.5, weight=2.0, layers=("net.0",)))
    module = asked.build()
    assert isinstance(module, WithLossPrediction)
    output = module.train()(train_data().x)
    loss = asked.loss(output, train_data().y)
    assert torch.equal(loss, with_ranking(cross_entropy, output, train_data().y, margin=1.5, weight=2.0))
    shapes = {name: tuple(weight.shape) for name, weight in module.maps.named_parameters() if name.endswith("weight")}
    assert shapes == {"0.weight": (5, 4)}


def test_the_module_learns_to_order_losses() -> None:
    """By chance, half of the random pairs of training images would be in order."""
    trained = train(fit(n=60, patience=30, max_checks=30)).net.eval()
    data = train_data(60)
    losses = cross_entropy(trained(data.x), data.y, reduction="none")
    predicted = predicted_losses(trained, data.x)
    first, second = torch.triu_indices(60, 60, 1)
    right = (losses[first] > losses[second]) == (predicted[first] > predicted[second])
    assert float(right.double().mean()) > 0.7


class Double:
    """Builds in float64, where two engines' rounding makes no difference."""

    def __init__(self, build: Build):
        self.build = build

    def __repr__(self) -> str:
        return repr(self.build)

    def __call__(self) -> nn.Module:
        return self.build().double()


@pytest.mark.parametrize("model", [toy.model, partial(resnet, blocks=(1, 1), width=4)], ids=["dropout", "residual"])
def test_a_stack_trains_as_one_by_one(model: object) -> None:
    """With the cut in the middle, and nets that stop at different checks."""
    build = net_builder(toy.data_set(), model)  # type: ignore[arg-type]
    learner = PredictingLosses(Plain(build, toy.recipe()), LearningLoss(hidden=5, cut_after=3))
    asked = []
    for seed in range(4):
        fit = learner.with_module(Fit(build, toy.recipe(max_checks=20), train_data(21), Streams(seed, 0)))
        asked.append(fit._replace(build=Double(fit.build)))  # type: ignore[arg-type]
    alone, together = [train(fit) for fit in asked], train_stack(asked)
    assert len({result.steps for result in alone}) > 1
    assert min(result.steps for result in alone) > 3 * 3
    x = train_data().x.double()
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, Trained)
        assert one.steps == other.steps
        for name, value in one.net.state_dict().items():
            torch.testing.assert_close(value, other.net.state_dict()[name], rtol=0, atol=1e-9)
        nets = one.net.eval(), other.net.eval()
        assert torch.allclose(predicted_losses(nets[0], x), predicted_losses(nets[1], x), rtol=0, atol=1e-9)


def test_the_default_maps_are_the_ends_of_a_resnet_s_stages() -> None:
    net = resnet((3, 32, 32), 10, width=4).eval()
    assert feature_maps(net, torch.rand(1, 3, 32, 32), None) == {"4": 4, "6": 8, "8": 16, "10": 32}
    assert list(feature_maps(net, torch.rand(1, 3, 32, 32), ["6", "2"])) == ["6", "2"]


def test_layers_that_can_t_be_read_are_refused_before_any_training() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(36, 3), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x.float().flatten(1))  # type: ignore[no-any-return]

    x = train_data().x[:2]
    LearningLoss(layers=("used",)).check(Idle(), x)
    for layers, named in (
        (("conv",), "no layer 'conv'.* used, idle"),
        (("idle",), "'idle' is not used in the forward pass"),
    ):
        with pytest.raises(UsageError, match=named):
            LearningLoss(layers=layers).check(Idle(), x)
    with pytest.raises(UsageError, match=r"this net has none.* strategy\.layers"):
        LearningLoss().check(Idle(), x)


def run(learner: Learner | None = None, memory: toy.Memory | None = None) -> toy.Memory:
    experiment, memory = toy.experiment(LearningLoss(hidden=5)), memory or toy.Memory()
    drive(replace(experiment, learner=learner or experiment.learner).run(memory))
    return memory


def test_the_highest_predicted_losses_are_chosen_as_absolute_ids() -> None:
    data = toy.data_set()
    pool = toy.bought(data, data.train[:24])
    pool.draw_candidates(30, stream(0, "candidates"))
    strategy = LearningLoss(hidden=5)
    fitted = drive(strategy.wrap(Plain(BUILD, toy.recipe())).fit(train_data(), Streams(0, 0), None))  # type: ignore[arg-type]
    net = fitted.network()
    assert isinstance(net, WithLossPrediction)
    with torch.no_grad():
        losses = torch.stack([net.losses(data.images[id_][None])[0] for id_ in pool.candidates])
    assert torch.equal(strategy.select(fitted, pool, 6, stream(0, "query")), pool.candidates[losses.topk(6).indices])
    x = data.images[:9]
    with torch.no_grad():
        assert torch.equal(fitted.log_probs(x)[:, 0], net.net(x).log_softmax(1))
        assert torch.equal(fitted.features(x), net.net.net[:4](net.net.input(x)))  # type: ignore[union-attr, operator, index]


@pytest.mark.parametrize("rounds", [0, 2, 3])
@pytest.mark.parametrize("continuing", [False, True])
def test_a_run_resumes_also_where_net_and_module_go_on(continuing: bool, rounds: int) -> None:
    base = Plain(BUILD, toy.recipe())
    learner = toy.Continuing(base) if continuing else base
    whole, part = run(learner), toy.Memory()
    part.ids, part.rows = whole.ids[:rounds], whole.rows[:rounds]
    assert run(learner, part).untimed() == whole.untimed()
    assert run().untimed()[0] == whole.untimed()[0]


def test_dropout_s_net_has_a_module_and_a_committee_is_refused() -> None:
    assert len(run(Dropout(BUILD, toy.recipe(), samples=3)).rows) == 5
    with pytest.raises(UsageError, match="learner=plain"):
        run(Ensemble(BUILD, toy.recipe(), members=2))


def test_learners_that_begin_from_weights_of_the_plain_net_are_refused_before_any_training() -> None:
    """They failed in the second round: the net with a module has other weights."""
    strategy = LearningLoss(hidden=5)
    for learner in (
        FineTuned(BUILD, toy.recipe(), toy.recipe(), perturb=0.1),
        FineTuned(BUILD, toy.recipe(), toy.recipe(), shrink=0.5),
        Ensemble(BUILD, toy.recipe(), members=1, shared_init=True),
    ):
        with pytest.raises(UsageError, match=r"a net to which it can add layers.*use learner=plain"):
            strategy.check_learner(strategy.wrap(learner))
    assert len(run(FineTuned(BUILD, toy.recipe(), toy.recipe())).rows) == 5


def test_a_fit_that_fails_is_raised_and_its_learner_closed() -> None:
    closed = []

    class Watched:
        async def fit(self) -> None:
            try:
                await rewriting(Plain(BUILD, toy.recipe()).fit(train_data(), Streams(0, 0)), lambda fit: fit)  # type: ignore[arg-type]
            finally:
                closed.append(True)

    def fails(fits: Sequence[Fit]) -> list[Exception]:
        return [NonFiniteLoss(3)]

    with pytest.raises(NonFiniteLoss):
        drive(Watched().fit(), fails)  # type: ignore[arg-type]
    assert closed == [True]


@pytest.mark.parametrize("option", ["hidden", "margin", "weight", "cut_after", "cut_share"])
def test_options_that_mean_nothing_are_refused(option: str) -> None:
    with pytest.raises(UsageError, match=rf"strategy\.{option} is -1"):
        LearningLoss(**{option: -1})  # type: ignore[arg-type]
