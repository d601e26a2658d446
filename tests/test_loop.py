from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import sklearn.metrics
import torch
import toy
from torch import Tensor, nn

from al_runner.budget import Budget
from al_runner.engine.drive import drive
from al_runner.errors import UsageError
from al_runner.learners.plain import Plain, SingleNet
from al_runner.loop.measure import measurements
from al_runner.models.inputs import net_builder
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.strategies.ceal import Ceal
from al_runner.strategies.choice import Choice
from al_runner.strategies.emoc import Emoc
from al_runner.strategies.full import Full
from al_runner.strategies.kfac_vfe import KfacVfe
from al_runner.strategies.random import Random
from al_runner.strategies.uncertainty import TopScore, curriculum, entropy, least_confidence, margin, uncertainty
from al_runner.training import Fit, trained
from al_runner.types import ByClass, DataSet, Fitted, TrainData

SCORES = (least_confidence, margin, entropy, uncertainty, curriculum)
ALL = [Random(), KfacVfe(), KfacVfe(gamma=1.0), *(TopScore(score) for score in SCORES)]
NAMES = ["random", "kfac_vfe", "kfac_vfe-gamma1", *(score.__name__ for score in SCORES)]


def run(strategy: Strategy, memory: toy.Memory | None = None, seed: int = 0) -> toy.Memory:
    memory = memory or toy.Memory()
    drive(toy.experiment(strategy, seed).run(memory))
    return memory


def test_strategies_of_one_seed_share_the_initial_set_and_the_first_fit() -> None:
    runs = [run(strategy) for strategy in ALL]
    for other in runs[1:]:
        assert torch.equal(other.ids[0], runs[0].ids[0])
        assert other.untimed()[0] == runs[0].untimed()[0]
    assert not torch.equal(run(Random(), seed=1).ids[0], runs[0].ids[0])


@pytest.mark.parametrize("strategy", ALL, ids=NAMES)
def test_every_query_is_new_training_ids_of_the_planned_size(strategy: Strategy) -> None:
    memory = run(strategy)
    bought = torch.cat(memory.ids)
    assert [len(ids) for ids in memory.ids] == [6, 5, 5, 5, 5]
    assert len(bought.unique()) == 26
    assert bool(torch.isin(bought, toy.data_set().train).all())
    assert [row["labelled"] for row in memory.rows] == [6, 11, 16, 21, 26]


@pytest.mark.parametrize("strategy", ALL, ids=NAMES)
def test_the_same_seed_gives_the_same_run(strategy: Strategy) -> None:
    first, second = run(strategy), run(strategy)
    assert first.untimed() == second.untimed()
    assert torch.equal(torch.cat(first.ids), torch.cat(second.ids))


def test_strategies_choose_differently() -> None:
    picks = {tuple(run(strategy).ids[1].tolist()) for strategy in (Random(), KfacVfe(), TopScore(curriculum))}
    assert len(picks) == 3


@pytest.mark.parametrize("rounds", range(6))
@pytest.mark.parametrize("measured_less", [0, 1])
def test_a_run_resumed_anywhere_equals_one_never_interrupted(rounds: int, measured_less: int) -> None:
    """Stopped after a purchase (one row less than purchases) and after a measurement, in every round."""
    whole = run(KfacVfe())
    part = toy.Memory()
    part.ids = whole.ids[:rounds]
    part.rows = whole.rows[: max(0, rounds - measured_less)]
    run(KfacVfe(), part)
    assert part.untimed() == whole.untimed()
    assert torch.equal(torch.cat(part.ids), torch.cat(whole.ids))


def test_full_trains_once_on_everything() -> None:
    memory = run(Full())
    assert [row["labelled"] for row in memory.rows] == [len(toy.data_set().train)]
    assert sorted(memory.ids[0].tolist()) == toy.data_set().train.tolist()


def test_measurements_are_the_net_s_own() -> None:
    """Test error recomputed from predictions; error and accuracy add up; nothing is a running best."""
    caught: list[tuple[Fitted, Tensor]] = []

    class Spy(Random):
        def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
            caught.append((fitted, pool.labelled))
            return super().select(fitted, pool, n, rng)

    memory, data = run(Spy()), toy.data_set()
    for (fitted, labelled), row in zip(caught, memory.rows, strict=False):
        for name, ids in (("test_error", data.test), ("val_error", data.val), ("train_error", labelled)):
            wrong = fitted.log_probs(data.images[ids]).mean(1).argmax(1) != data.labels[ids]
            assert row[name] == wrong.double().mean().item()
        picked = fitted.log_probs(data.images[data.test])[torch.arange(len(data.test)), 0, data.labels[data.test]]
        assert row["test_nll"] == pytest.approx(-picked.double().mean().item(), rel=1e-6)
        assert row["test_accuracy"] == 1 - row["test_error"]


def test_the_other_metrics_are_of_the_same_mean_prediction_and_need_no_second_one() -> None:
    """With posterior samples, too: they measure the mean of the probabilities."""
    data, calls = toy.offset_data(20), 0
    table = torch.randn(20, 5, 3, generator=torch.Generator().manual_seed(0)).log_softmax(-1)

    class Counting(toy.Table):
        def log_probs(self, x: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            return super().log_probs(x)

    first = data.train[:4]
    given = TrainData(data.images[first], data.labels[first], *data.validation)
    row, confusion = measurements(data, Counting(table), given, 4)
    assert calls == 3  # test, validation, training images
    probs, labels = table[data.test].exp().double().mean(1), data.labels[data.test]
    predictions = probs.argmax(1)
    assert confusion.tolist() == sklearn.metrics.confusion_matrix(labels, predictions, labels=[0, 1, 2]).tolist()
    assert 1 - confusion.diagonal().sum() / confusion.sum() == pytest.approx(row["test_error"])
    assert row["test_balanced_accuracy"] == sklearn.metrics.balanced_accuracy_score(labels, predictions)
    assert row["test_macro_f1"] == pytest.approx(sklearn.metrics.f1_score(labels, predictions, average="macro"))
    brier = sklearn.metrics.brier_score_loss(labels, probs, labels=[0, 1, 2], scale_by_half=False)
    assert row["test_brier"] == pytest.approx(brier, abs=1e-6)
    auroc = sklearn.metrics.roc_auc_score(labels, probs, multi_class="ovr", labels=[0, 1, 2])
    assert row["test_auroc"] == pytest.approx(auroc)


def test_the_whole_confusion_matrix_is_recorded_with_the_last_round_only() -> None:
    memory = run(Random())
    assert [by_class.whole for by_class in memory.by_class] == [False] * 4 + [True]
    for row, (confusion, _) in zip(memory.rows, memory.by_class, strict=True):
        assert int(confusion.sum()) == row["test_images"]
        assert 1 - int(confusion.trace()) / int(confusion.sum()) == pytest.approx(row["test_error"])


def test_errors_class_by_class_are_of_the_images_of_a_class() -> None:
    """Rows of the matrix are classes; of four images of the first class one is predicted as the second."""
    matrix = torch.tensor([[3, 1], [0, 2]])
    sums = {"images": [4, 2], "wrong": [1, 0]}
    assert ByClass(matrix, whole=False).counts() == {**sums, "confused": None}
    assert ByClass(matrix, whole=True).counts() == {**sums, "confused": [[0, 0, 3], [0, 1, 1], [1, 1, 2]]}


class Answering(Random):
    """Answers as the test wants, from the ids it would have chosen."""

    def __init__(self, answer: Callable[[Tensor], Any]):
        self.answer = answer

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        return self.answer(super().select(fitted, pool, n, rng))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda ids: ids[:-1], r"Answering returned 4 ids for 5; a query returns 5 distinct ids of pool\.candidates"),
        (lambda ids: [], "returned 0 ids for 5"),
        (lambda ids: torch.arange(5), r"returned id \d+, which is not one of its candidates"),
        (lambda ids: ids - 1000, r"returned id -\d+, which is not one of its candidates"),
        (lambda ids: ids[:1].repeat(5), "returned the same id twice"),
        (lambda ids: ids[:, None], r"returned ids of shape \[5, 1\]"),
        (lambda ids: ids[0], r"returned ids of shape \[\]"),
        (lambda ids: ids.double(), r"returned ids of type torch\.float64"),
        (lambda ids: torch.ones(5, dtype=torch.bool), r"returned ids of type torch\.bool"),
        (lambda ids: None, "returned NoneType"),
        (lambda ids: {*ids.tolist()}, "returned set"),
        (lambda ids: ["a", "b", "c", "d", "e"], "returned list"),
        (lambda ids: Choice(ids, {"mean": "high"}), "could not convert string to float"),
        (lambda ids: Choice(ids, [1.0]), "has no attribute 'items'"),
    ],
)
def test_what_can_t_be_bought_is_refused_before_it_is_recorded(answer: Callable[[Tensor], Any], message: str) -> None:
    memory = toy.Memory()
    with pytest.raises(UsageError, match=message):
        run(Answering(answer), memory)
    assert (len(memory.ids), len(memory.predictions), len(memory.rows)) == (1, 0, 1)
    mended = run(Random(), memory)
    assert mended.untimed() == run(Random()).untimed()


@pytest.mark.parametrize(
    "convert", [Tensor.tolist, Tensor.numpy, Tensor.int, lambda ids: ids.int().numpy(), tuple, list]
)
def test_lists_and_arrays_of_whole_numbers_are_taken(convert: Callable[[Tensor], Any]) -> None:
    memory = run(Answering(convert))
    assert {ids.dtype for ids in memory.ids} == {torch.int64}
    assert torch.equal(torch.cat(memory.ids), torch.cat(run(Random()).ids))


def test_a_strategy_may_report_numbers_of_its_queries() -> None:
    memory = run(Answering(lambda ids: Choice(ids.tolist(), {"first": ids[0], "mean": ids.double().mean()})))
    assert torch.equal(torch.cat(memory.ids), torch.cat(run(Random()).ids))
    expected = [{"first": float(ids[0]), "mean": ids.double().mean().item()} for ids in memory.ids]
    assert memory.facts == [{}, *expected[1:]]
    assert all(type(value) is float for facts in memory.facts for value in facts.values())


def test_test_labels_choose_nothing() -> None:
    """With other test labels only what is measured on them changes: no id, no weight, no stopping."""
    experiment = toy.experiment(KfacVfe())
    labels = experiment.data.labels.clone()
    labels[experiment.data.test] = (labels[experiment.data.test] + 1) % 3
    first, other = toy.Memory(), toy.Memory()
    drive(experiment.run(first))
    drive(replace(experiment, data=replace(experiment.data, labels=labels)).run(other))
    assert torch.equal(torch.cat(first.ids), torch.cat(other.ids))
    for row, changed in zip(first.untimed(), other.untimed(), strict=True):
        assert row["test_error"] != changed["test_error"]
        for key in ("val_error", "train_error", "steps"):
            assert row[key] == changed[key]


def test_selecting_leaves_net_and_mode_alone() -> None:
    class Watched(Strategy):
        def __init__(self, inner: Strategy):
            self.inner = inner

        def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
            net = fitted.network()
            before = {name: value.clone() for name, value in net.state_dict().items()}
            state = torch.random.get_rng_state()
            ids = self.inner.select(fitted, pool, n, rng)
            assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
            assert not net.training
            assert torch.equal(torch.random.get_rng_state(), state)
            return ids

    for strategy in ALL:
        run(Watched(strategy))


@pytest.mark.parametrize("rounds", range(6))
def test_a_learner_that_goes_on_from_its_last_weights_resumes_too(rounds: int) -> None:
    def run_from(memory: toy.Memory) -> toy.Memory:
        experiment = toy.experiment(KfacVfe())
        drive(replace(experiment, learner=toy.Continuing(experiment.learner)).run(memory))  # type: ignore[arg-type]
        return memory

    whole, part = run_from(toy.Memory()), toy.Memory()
    assert whole.untimed()[0] == run(KfacVfe()).untimed()[0]
    assert whole.untimed()[1:] != run(KfacVfe()).untimed()[1:]
    part.ids, part.rows = whole.ids[:rounds], whole.rows[:rounds]
    assert run_from(part).untimed() == whole.untimed()


def test_a_fit_may_use_images_without_labels() -> None:
    pool = toy.bought(toy.data_set(), toy.data_set().train[:6])
    data = toy.experiment().train_data(pool)
    assert data.unlabelled is not None
    assert len(data.unlabelled) == len(pool.unlabelled)
    assert torch.equal(data.unlabelled[3:5], pool.x(pool.unlabelled[3:5]))
    more = data.plus(data.unlabelled[:2], torch.tensor([1, 2]))
    assert (len(more.x), more.y[-2:].tolist(), len(data.x)) == (8, [1, 2], 6)


SETS = [Random(), Emoc(images=9), Ceal(entropy), *(TopScore(score) for score in SCORES)]


@pytest.mark.parametrize("strategy", SETS, ids=lambda strategy: type(strategy).__name__)
def test_whole_sets_are_bought_and_a_run_of_them_resumes(strategy: Strategy) -> None:
    def run_sets(memory: toy.Memory) -> toy.Memory:
        budget = Budget(initial=6, query=4, max_labelled=17, initial_by="balanced", known=2, sets=20)
        drive(replace(toy.experiment(strategy), budget=budget).run(memory))
        return memory

    whole, labels = run_sets(toy.Memory()), toy.data_set().labels
    assert labels[whole.ids[0]].sort().values.tolist() == [0, 0, 0, 1, 1, 1]
    assert [len(ids) for ids in whole.ids] == [6, 4, 4, 3]  # the last set is as large as the budget allows
    assert all(len(labels[ids].unique()) == 1 for ids in whole.ids[1:])
    part = toy.Memory()
    part.ids, part.rows = whole.ids[:2], whole.rows[:2]
    assert run_sets(part).untimed() == whole.untimed()


def test_a_strategy_that_chooses_image_by_image_gets_no_sets() -> None:
    experiment = toy.experiment(KfacVfe())
    with pytest.raises(UsageError, match=r"KfacVfe chooses image by image.* budget\.sets=null"):
        _ = replace(experiment, budget=replace(experiment.budget, sets=10)).purchases


class Asking(Random):
    """Trains a net to choose by."""

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Tensor:
        base = toy.experiment().learner
        (one, other) = await trained(
            [Fit(base.build, base.recipe, toy.experiment().train_data(pool), streams.of(i)) for i in range(2)]  # type: ignore[attr-defined]
        )
        assert not torch.equal(*(next(result.net.parameters()) for result in (one, other)))
        return await super().query(fitted, pool, n, streams)


def test_a_strategy_may_ask_for_fits() -> None:
    assert torch.equal(torch.cat(run(Asking()).ids), torch.cat(run(Random()).ids))


def test_features_are_what_the_last_dense_layer_sees() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).eval()
    x = torch.rand(600, 1, 2, 2)
    assert torch.allclose(SingleNet(net, 0).features(x), net[:3](x))
    with pytest.raises(UsageError, match="last dense layer"):
        SingleNet(nn.Flatten(), 0).features(x)


def test_what_the_model_said_before_it_was_told_is_kept() -> None:
    said = []

    @dataclass(frozen=True)
    class Noting(Random):
        def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
            ids = super().select(fitted, pool, n, rng)
            said.append(fitted.log_probs(pool.x(ids)).exp().mean(1))
            return ids

    memory = run(Noting())
    assert len(memory.predictions) == len(said) == 4  # nothing was known before the initial set
    for (classes, confidence), probabilities in zip(memory.predictions, said, strict=True):
        assert torch.equal(classes, probabilities.argmax(1))
        assert torch.allclose(confidence, probabilities.max(1).values)


class Asked:
    """An oracle that is not the data set: it says the next class, and remembers whom it was asked about."""

    def __init__(self, data: DataSet):
        self.data, self.ids = data, set[int]()

    async def label(self, ids: Tensor) -> Tensor:
        self.ids |= set(ids.tolist())
        return (self.data.labels[ids] + 1) % 3


def test_seconds_are_those_of_the_choice_and_of_the_fit() -> None:
    spent = [100.0]

    class Choosing(Random):
        def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
            spent[0] += 3
            return super().select(fitted, pool, n, rng)

    class Fitting(Plain):
        async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> SingleNet:
            spent[0] += 5
            return await super().fit(data, streams, previous)

    class Noting(toy.Memory):
        def buy(self, round_: int, ids: Tensor, labels: Tensor, seconds: float, facts: Mapping[str, float]) -> None:
            super().buy(round_, ids, labels, seconds, facts)
            choices.append(seconds)

        def measure(
            self, round_: int, row: dict[str, float], joules: float | None, by_class: ByClass | None = None
        ) -> None:
            super().measure(round_, row, joules, by_class)
            energy.append(joules)

    choices, energy, record = list[float](), list[float | None](), Noting()
    whole = toy.experiment(Choosing())
    learner = Fitting(net_builder(whole.data, toy.model), toy.recipe())
    drive(replace(whole, learner=learner).run(record, lambda: spent[0], lambda seconds: seconds * 2))
    assert choices == [0, 3, 3, 3, 3]  # the initial set is drawn
    assert [row["fit_seconds"] for row in record.rows] == [5] * 5
    assert energy == [10, 16, 16, 16, 16]


def test_labels_come_from_the_oracle_and_of_bought_ids_alone() -> None:
    class Labels(toy.Memory):
        def buy(self, round_: int, ids: Tensor, labels: Tensor, seconds: float, facts: Mapping[str, float]) -> None:
            super().buy(round_, ids, labels, seconds, facts)
            kept.append(labels)

    class Seen(Plain):
        async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> SingleNet:
            trained_on.append(data.y)
            return await super().fit(data, streams, previous)

    experiment, record = toy.experiment(), Labels()
    kept, trained_on = list[Tensor](), list[Tensor]()
    oracle = Asked(experiment.data)
    learner = Seen(net_builder(experiment.data, toy.model), toy.recipe())
    drive(replace(experiment, oracle=oracle, learner=learner).run(record))
    bought = torch.cat(record.ids)
    assert oracle.ids == set(bought.tolist())
    asked = [ids for ids, _, _ in record.choices.values()]
    assert torch.equal(torch.cat(asked), bought)  # recorded before the labels, which may be long in coming
    assert torch.equal(torch.cat(kept), (experiment.data.labels[bought] + 1) % 3)
    assert torch.equal(trained_on[-1], torch.cat(kept))


def test_the_simulated_oracle_answers_at_once_so_nothing_is_recorded_as_asked() -> None:
    record = toy.Memory()
    drive(toy.experiment().run(record))
    assert record.ids and not record.choices


@pytest.mark.parametrize("kind", ["balanced", "given"])
def test_an_initial_set_is_not_sorted_by_class(kind: str) -> None:
    """Held out last images, or minibatches in the order of purchase, would otherwise be of one class each."""
    experiment = toy.experiment()
    labels, train = experiment.data.labels, experiment.data.train
    by_class = torch.cat([train[labels[train] == label][:20] for label in range(3)])  # as folders are read
    if kind == "balanced":
        plan = replace(experiment.budget, initial=60, initial_by="balanced", max_rounds=1)
        experiment = replace(experiment, budget=plan)
    else:
        experiment = replace(experiment, data=replace(experiment.data, given=by_class))
    firsts = []
    for seed in (0, 1):
        memory = toy.Memory()
        drive(replace(experiment, seed=seed).run(memory))
        firsts.append(memory.ids[0])
        assert labels[firsts[-1]].bincount().tolist() == [20, 20, 20]
        assert all(len(labels[part].unique()) == 3 for part in firsts[-1].split(20))
        assert kind == "balanced" or {*firsts[-1].tolist()} == {*by_class.tolist()}
    assert not torch.equal(*firsts)


def test_more_labels_beforehand_than_the_budget_allows_are_named() -> None:
    experiment = toy.experiment()
    data, budget = experiment.data, replace(experiment.budget, max_fraction=0.5)
    given = replace(experiment, data=replace(data, given=data.train[:60]), budget=budget)
    with pytest.raises(UsageError, match=r"60 of 80 images have labels already, .* at most 40; .*max_fraction=1"):
        _ = given.purchases
    assert replace(given, budget=replace(budget, max_fraction=1)).purchases == [60, 5, 5, 5, 5]


@pytest.mark.parametrize("change", [{"initial_by": "balanced"}, {"sets": 3}])
def test_what_needs_all_labels_needs_the_simulated_oracle(change: dict[str, str | int]) -> None:
    experiment = toy.experiment()
    budget = replace(experiment.budget, **change)  # type: ignore[arg-type]
    _ = replace(experiment, budget=budget).purchases
    wanted = rf"budget\.{next(iter(change))}.* uses labels that are not bought yet; use oracle=simulated"
    with pytest.raises(UsageError, match=wanted):
        _ = replace(experiment, budget=budget, oracle=Asked(experiment.data)).purchases


class Lowest(Random):
    """Buys the lowest ids, and no label may be known yet."""

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        return pool.candidates_by_id[:n]


def test_a_strategy_without_a_fit_chooses_the_initial_set() -> None:
    experiment, record = toy.experiment(), toy.Memory()
    budget = replace(experiment.budget, initial_by="lowest")
    drive(replace(experiment, budget=budget, first=Lowest()).run(record))
    assert record.ids[0].tolist() == experiment.data.train[:6].tolist()
    usual = toy.Memory()
    drive(toy.experiment().run(usual))
    assert usual.ids[0].tolist() != record.ids[0].tolist()
    with pytest.raises(UsageError, match=r"budget\.initial_by is lowest"):
        _ = replace(experiment, budget=budget).purchases


def test_who_asks_a_model_for_the_initial_set_is_told() -> None:
    experiment = toy.experiment()
    budget = replace(experiment.budget, initial_by="entropy")
    with pytest.raises(UsageError, match=r"nothing is fitted before the initial set .* budget\.initial_by=random"):
        drive(replace(experiment, budget=budget, first=TopScore(entropy)).run(toy.Memory()))
