"""The choice of least expected risk against a search with refits."""

import pytest
import torch
import toy
from torch.nn.functional import one_hot

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.models.gaussian_field import Field, class_masses
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.mbr import Mbr

SCALE = 0.3


def pool() -> Pool:
    data = toy.data_set()
    pool = toy.bought(data, data.train[:12])
    pool.draw_candidates(20, stream(0, "candidates"))
    return pool


def choose(strategy: Mbr, pool: Pool, n: int) -> list[int]:
    return strategy.select(None, pool, n, stream(0, "query")).tolist()  # type: ignore[arg-type]


def test_every_choice_is_the_least_risk_after_those_before_it_as_predicted() -> None:
    whole = pool()
    x, y = whole.x(whole.labelled), whole.y(whole.labelled)
    left, chosen, known = whole.candidates.tolist(), [], one_hot(y)
    for _ in range(4):
        field = Field.of(x, y, whole.x(torch.tensor(left)), SCALE)  # anew, with no downdate
        k = int(field.expected_risks().argmin())
        label = (field.f[k] * class_masses(known, field.f)).argmax()
        x, y = torch.cat([x, whole.x(torch.tensor([left[k]]))]), torch.cat([y, label[None]])
        chosen.append(left.pop(k))
    assert choose(Mbr(SCALE), pool(), 4) == chosen


def test_the_top_are_the_least_risks_of_single_queries() -> None:
    one = pool()
    field = Field.of(one.x(one.labelled), one.y(one.labelled), one.x(one.candidates), SCALE)
    expected = one.candidates[field.expected_risks().argsort()[:4]].tolist()
    assert choose(Mbr(SCALE, batch="top"), one, 4) == expected
    assert choose(Mbr(SCALE), one, 1) == expected[:1]
    assert choose(Mbr(SCALE), one, 4) != expected


def test_it_gets_no_more_candidates_than_max_candidates() -> None:
    budget = Budget(initial=10, query=20, candidates="all")
    assert Mbr(SCALE, max_candidates=100).plan(budget).candidate_count == 100
    with pytest.raises(UsageError, match=r"max_candidates is 19, fewer than budget\.query=20"):
        Mbr(SCALE, max_candidates=19).plan(budget)


def test_impossible_options_are_named() -> None:
    with pytest.raises(UsageError, match=r"strategy\.length_scale is 0"):
        Mbr(0)
    with pytest.raises(UsageError, match="it must be predicted or top"):
        Mbr(1.0, batch="random")
