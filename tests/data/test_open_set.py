"""A pool with images of no class: what stays in it, what an answer costs, and what is trained on and measured."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import toy
from made_fits import watched
from recorded import untimed

from al_runner.analysis.report.bought import purchases
from al_runner.budget import Budget
from al_runner.data.discovery import class_discovery
from al_runner.data.open_set import open_set
from al_runner.data.usable import usable
from al_runner.errors import UsageError
from al_runner.labels import OF_NO_CLASS, UNKNOWN
from al_runner.learners.plain import Plain
from al_runner.loop.experiment import Experiment
from al_runner.models.inputs import net_builder
from al_runner.oracle.simulated import Simulated
from al_runner.strategies.random import Random


def test_other_classes_stay_in_the_pool_alone() -> None:
    clean = toy.ten_classes()
    data = open_set(clean, known=3, others=4)
    assert len(data.classes) == 3
    assert list(data.classes) == sorted(data.classes)
    labels = Counter(data.labels[data.train].tolist())
    assert labels == {0: 50, 1: 50, 2: 50, OF_NO_CLASS: 200}
    for part in ("val", "test"):
        ids = getattr(data, part)
        assert torch.bincount(data.labels[ids]).tolist() == [25] * 3
        assert bool(torch.isin(ids, getattr(clean, part)).all())
    for id_ in (data.labels >= 0).nonzero()[:, 0].tolist():
        assert data.classes[data.labels[id_]] == f"class {int(data.images[id_])}"
    outside = {int(data.images[id_]) for id_ in data.train.tolist() if data.labels[id_] == OF_NO_CLASS}
    assert len(outside) == 4
    assert not {f"class {label}" for label in outside} & {*data.classes}
    assert torch.equal(data.train, data.train.unique())
    assert int((data.labels == UNKNOWN).sum()) == 3 * 100  # of the three classes that are left out


def test_all_other_classes_stay_unless_their_number_is_given() -> None:
    data = open_set(toy.ten_classes(), known=4)
    assert torch.equal(data.train, toy.ten_classes().train)
    assert int((data.labels[data.train] == OF_NO_CLASS).sum()) == 6 * 50


def test_a_seed_draws_the_classes_that_class_discovery_knows() -> None:
    for seed in range(3):
        known = open_set(toy.ten_classes(), known=4, seed=seed).classes
        assert known == class_discovery(toy.ten_classes(), known=4, seed=seed).classes[:4]
    assert len({open_set(toy.ten_classes(), known=4, seed=seed).classes for seed in range(3)}) == 3


@pytest.mark.parametrize(("known", "others"), [(1, None), (10, None), (4, 7), (11, 1)])
def test_numbers_of_classes_that_there_are_not_are_refused(known: int, others: int | None) -> None:
    with pytest.raises(UsageError, match=r"the data set has 10 classes; pool=open_set needs 2 known classes"):
        open_set(toy.ten_classes(), known=known, others=others)


def test_an_open_pool_is_usable_and_its_known_classes_can_be_balanced() -> None:
    data = usable(open_set(toy.ten_classes(), known=3))
    oracle = Simulated(data)
    assert oracle.counts == [50, 50, 50]
    ids = oracle.balanced_ids(9, 3, *(torch.Generator().manual_seed(seed) for seed in (0, 1)))
    assert torch.bincount(data.labels[ids]).tolist() == [3, 3, 3]
    sets = oracle.one_class_sets(data.train, 40, 5, torch.Generator().manual_seed(0))
    assert all(len(data.labels[ids].unique()) == 1 for ids in sets)
    assert bool((data.labels[sets] >= 0).all())


def test_only_the_pool_may_hold_images_of_no_class() -> None:
    data = open_set(toy.ten_classes(), known=3)
    for part in (data.val, data.test):
        with pytest.raises(UsageError, match="2 images have no label, and oracle=simulated"):
            Simulated(replace(data, labels=data.labels.index_fill(0, part[:2], OF_NO_CLASS)))


def test_a_run_pays_for_them_and_learns_the_known_classes_alone() -> None:
    data = open_set(toy.data_set(), known=2)
    learner = Plain(net_builder(data, toy.model), toy.recipe())
    budget = Budget(initial=12, query=6, max_rounds=3)
    memory, fits = watched(Experiment(data, learner, Random(), budget, 0, Simulated(data)))
    asked = torch.cat(memory.ids)
    assert [row["labelled"] for row in memory.rows] == [12, 18, 24, 30]
    assert len(asked.unique()) == 30
    outside = [int((data.labels[ids] == OF_NO_CLASS).sum()) for ids in memory.ids]
    assert [facts["of_no_class"] for facts in memory.facts] == outside
    assert 0 < sum(outside) < 30
    for number, given in enumerate(fit.data for fit in fits):
        labels = data.labels[torch.cat(memory.ids[: number + 1])]
        assert given.y.tolist() == labels[labels >= 0].tolist()
        assert given.unlabelled is not None
        assert len(given.unlabelled) == len(data.train) - memory.rows[number]["labelled"]


def test_a_recorded_run_shows_and_resumes_them(al_run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    quick = ["model=usps_cnn", "training.max_checks=2", "training.check_every=5", "pool=open_set", "pool.known=3"]
    for where, most in (("whole", 3), ("cut", 1), ("cut", 3)):
        code, output = al_run(*quick, f"results={tmp_path / where}", f"budget.max_rounds={most}", "strategy=margin")
        assert code == 0, output
    whole, cut = (next((tmp_path / where).rglob("acquired.csv")).parent for where in ("whole", "cut"))
    assert untimed(whole) == untimed(cut)
    assert (whole / "acquired.csv").read_bytes() == (cut / "acquired.csv").read_bytes()
    with (whole / "acquired.csv").open() as file:
        labels = Counter(int(row["label"]) for row in csv.DictReader(file))
    with (whole / "queries.csv").open() as file:
        told = [float(row["value"]) for row in csv.DictReader(file) if row["name"] == "of_no_class"]
    assert len(told) == 4
    assert sum(told) == labels[OF_NO_CLASS] > 0
    assert {*labels} == {0, 1, 2, OF_NO_CLASS}
    bought = purchases(whole)
    assert bought is not None
    assert len(bought) == labels.total() - labels[OF_NO_CLASS]
    assert int(bought["label"].min()) == 0
