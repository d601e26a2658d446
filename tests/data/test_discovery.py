from dataclasses import replace

import pytest
import torch
import toy

from al_runner.data.discovery import class_discovery
from al_runner.errors import UsageError
from al_runner.labels import UNKNOWN


def test_known_classes_come_first_and_have_more_images() -> None:
    clean = toy.ten_classes()
    data = class_discovery(clean, known=3, novel=4, pool=20, start=10)
    assert len(data.classes) == len(set(data.classes)) == 7
    assert torch.bincount(data.labels[data.train]).tolist() == [30] * 3 + [20] * 4
    assert bool(torch.isin(data.train, clean.train).all())
    assert torch.equal(data.train, data.train.unique())
    assert list(data.classes[:3]) == sorted(data.classes[:3])
    assert list(data.classes[3:]) == sorted(data.classes[3:])
    for part in ("train", "val", "test"):
        for id_ in getattr(data, part).tolist():
            assert data.classes[data.labels[id_]] == f"class {int(data.images[id_])}"
    for part in ("val", "test"):
        kept = torch.isin(getattr(clean, part), getattr(data, part))
        assert torch.equal(kept, data.labels[getattr(clean, part)] >= 0)
        assert len(getattr(data, part)) == 7 * 25
    assert int((data.labels < 0).sum()) == 3 * 100


def test_other_seeds_know_other_classes() -> None:
    known = {class_discovery(toy.ten_classes(), 3, 4, seed=seed).classes[:3] for seed in (0, 0, 1, 2)}
    assert len(known) == 3


def test_all_that_is_not_limited_stays() -> None:
    data = class_discovery(toy.ten_classes(), 4)
    assert sorted(data.classes) == sorted(toy.ten_classes().classes)
    assert torch.equal(data.train, toy.ten_classes().train)


def test_a_test_image_without_a_label_is_in_no_part() -> None:
    clean = toy.ten_classes()
    unknown = clean.test[:3]
    labels = clean.labels.index_fill(0, unknown, UNKNOWN)
    data = class_discovery(replace(clean, labels=labels), known=4)
    assert data.labels[unknown].tolist() == [UNKNOWN] * 3
    assert torch.equal(data.test, clean.test[3:])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"known": 0}, r"pool\.known is 0; it must be 1 or more"),
        ({"known": 2, "novel": 2}, "the data set has 3 classes"),
        ({"known": 4}, "the data set has 3 classes"),
        ({"known": 1, "pool": 20, "start": 90}, r"pool\.pool is 20 and pool\.start 90"),
    ],
)
def test_what_the_data_set_has_not_is_refused(options: dict[str, int], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        class_discovery(toy.data_set(), **options)
