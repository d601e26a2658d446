"""Pseudo-labels against a hand-made table of predictions, and in whole runs."""

from dataclasses import replace

import pytest
import torch
import toy
from torch import Tensor

from al_runner.engine.drive import drive
from al_runner.errors import UsageError
from al_runner.learners.plain import SingleNet
from al_runner.rng import Streams
from al_runner.strategies.ceal import Ceal, PseudoLabelling, Threshold
from al_runner.strategies.uncertainty import TopScore, entropy, margin
from al_runner.types import Fitted, TrainData

# Entropies in nats: 0.056, 0.325, 0, 0.693, 0.5004.
TABLE = torch.tensor([[0.99, 0.01], [0.1, 0.9], [0.0, 1.0], [0.5, 0.5], [0.8, 0.2]], dtype=torch.float64).log()[
    :, None
]  # [R, 1, Y]


class Noting:
    """A learner that records the data that it gets, and predicts with TABLE."""

    continues = False

    def __init__(self) -> None:
        self.seen: list[tuple[TrainData, Streams, Fitted | None]] = []

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> Fitted:
        self.seen.append((data, streams, previous))
        return toy.Table(TABLE)


def pixels(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.uint8)[:, None, None, None]


DATA = TrainData(pixels(0, 3), torch.tensor([1, 1]), pixels(0), torch.tensor([0]), pixels(4, 2, 1, 3, 0))


def test_the_decay_is_linear_or_quadratic() -> None:
    linear, quadratic = (Threshold(0.05, 0.01, reading) for reading in ("linear", "quadratic"))
    assert [linear(i) for i in range(1, 6)] == pytest.approx([0.05, 0.04, 0.03, 0.02, 0.01])
    assert [quadratic(i) for i in range(1, 6)] == pytest.approx([0.05, 0.04, 0.02, -0.01, -0.05])


def test_a_round_trains_only_on_its_own_pseudo_labels() -> None:
    """The first round has none; later rounds make new ones, with a falling threshold. True labels come first."""
    base = Noting()
    learner = PseudoLabelling(base, Threshold(0.4, 0.35, "linear"), "previous")
    fitted = None
    for round_ in range(4):
        fitted = drive(learner.fit(DATA, Streams(0, round_), fitted))
    assert [data.x.flatten().tolist() for data, _, _ in base.seen] == [[0, 3], [0, 3, 2, 1, 0], [0, 3, 2], [0, 3]]
    assert [data.y.tolist() for data, _, _ in base.seen] == [[1, 1], [1, 1, 1, 1, 0], [1, 1, 1], [1, 1]]
    assert learner.continues


def test_the_labeller_may_be_a_net_trained_on_the_true_labels() -> None:
    base = Noting()
    learner = PseudoLabelling(base, Threshold(0.4, 0.0, "linear"), "labelled")
    drive(learner.fit(DATA, Streams(0, 3), None))
    assert [len(data.y) for data, _, _ in base.seen] == [2, 5]
    assert [streams for _, streams, _ in base.seen] == [Streams(0, 3, "/labeller"), Streams(0, 3)]
    assert not learner.continues


def test_a_fit_on_trial_without_an_earlier_one_makes_its_own_labeller() -> None:
    base = Noting()
    learner = PseudoLabelling(base, Threshold(0.4, 0.0, "linear"), "previous")
    drive(learner.fit(DATA, Streams(0, 3), None))
    assert [len(data.y) for data, _, _ in base.seen] == [2, 5]
    assert [previous for *_, previous in base.seen] == [None, None]


def run(strategy: TopScore, memory: toy.Memory | None = None) -> toy.Memory:
    memory = memory or toy.Memory()
    drive(toy.experiment(strategy).run(memory))
    return memory


def test_pseudo_labels_change_every_round_but_the_first() -> None:
    plain, sure = run(TopScore(margin)).untimed(), run(Ceal(margin, threshold=1.0)).untimed()
    assert sure[0] == plain[0]
    assert sure[1] != plain[1]
    assert run(Ceal(margin, threshold=1e-9)).untimed() == plain


@pytest.mark.parametrize("labeller", ["previous", "labelled"])
@pytest.mark.parametrize("rounds", range(1, 5))
def test_a_run_with_pseudo_labels_resumes(labeller: str, rounds: int) -> None:
    strategy = Ceal(entropy, threshold=1.0, labeller=labeller)
    whole, part = run(strategy), toy.Memory()
    part.ids, part.rows = whole.ids[:rounds], whole.rows[:rounds]
    assert run(strategy, part).untimed() == whole.untimed()


def test_labels_of_the_pool_make_no_difference() -> None:
    """A fit does not depend on the hidden labels."""
    data = toy.data_set()
    hidden, nets = data.train[9:], []
    for shift in (0, 1):
        experiment = toy.experiment()
        labels = data.labels.clone()
        labels[hidden] = (labels[hidden] + shift) % 3
        pool = toy.bought(replace(data, labels=labels), data.train[:9])
        learner = Ceal(entropy, threshold=1.0).wrap(experiment.learner)
        first = drive(learner.fit(experiment.train_data(pool), Streams(0, 0), None))  # type: ignore[arg-type]
        nets.append(drive(learner.fit(experiment.train_data(pool), Streams(0, 1), first)))  # type: ignore[arg-type]
    assert isinstance(nets[0], SingleNet)
    assert all(torch.equal(*pair) for pair in zip(*(net.net.parameters() for net in nets), strict=True))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"threshold": 0.0}, "strategy.threshold"),
        ({"decay": -1.0}, "strategy.decay"),
        ({"reading": "cubic"}, "it must be linear or quadratic"),
        ({"labeller": "me"}, "it must be previous or labelled"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        Ceal(entropy, **options)  # type: ignore[arg-type]
