"""Which examples the classifier of each mini-query gets, and which ids are chosen."""

from collections.abc import Callable, Sequence

import configs
import pytest
import torch
import toy
from hydra.utils import instantiate
from torch import Tensor, nn

from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import error_rate, train_all
from al_runner.errors import UsageError
from al_runner.learners.plain import SingleNet
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.strategies.discriminative import Discriminative, classifier
from al_runner.training import Fit, Trained
from al_runner.types import DataSet


def strategy(**changes: object) -> Discriminative:
    return instantiate(configs.composed("strategy=discriminative").strategy, **changes)  # type: ignore[no-any-return]


class First(nn.Module):
    """The largest first feature looks most clearly unlabelled."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([torch.zeros(len(x)), x[:, 0]], 1)


def kept(asked: list[Fit], net: nn.Module | None = None) -> Callable[[Sequence[Fit]], Sequence[Trained | Exception]]:
    """An engine that records the fits, and trains them or returns `net` as trained."""

    def engine(fits: Sequence[Fit]) -> Sequence[Trained | Exception]:
        asked.extend(fits)
        return train_all(fits) if net is None else [Trained(net, 0, 0.0) for _ in fits]

    return engine


def test_every_mini_query_s_choices_count_as_labelled_from_then_on(net: nn.Module, pool: Pool) -> None:
    """4 labelled images, 14 candidates, 7 ids as 3 + 2 + 2, from at most 2 candidates for every labelled image."""
    asked: list[Fit] = []
    query = strategy(mini_queries=3, subsample=2).query(SingleNet(net, 0), pool, 7, Streams(0, 1))
    ids = drive(query, kept(asked, First())).tolist()  # type: ignore[arg-type]
    features = {id_: net[:5](pool.x(torch.tensor([id_])))[0].detach().float() for id_ in range(60)}  # type: ignore[index]
    of = {tuple(value.tolist()): id_ for id_, value in features.items()}
    labelled, rest = pool.labelled.tolist(), set(pool.candidates.tolist())
    assert len(asked) == 3
    for fit, size in zip(asked, (3, 2, 2), strict=True):
        seen = [of[tuple(row.tolist())] for row in fit.data.x]
        known, some = seen[: len(labelled)], seen[len(labelled) :]
        assert set(known) == set(labelled)
        assert set(some) <= rest
        assert len(set(some)) == len(some) == min(2 * len(labelled), len(rest))
        assert fit.data.y.tolist() == [0] * len(known) + [1] * len(some)
        assert fit.data.val_x is fit.data.x
        assert fit.data.val_y is fit.data.y
        wanted = sorted(some, key=lambda id_: -float(features[id_][0]))[:size]
        assert ids[:size] == wanted
        ids, labelled, rest = ids[size:], labelled + wanted, rest - set(wanted)
    assert ids == []
    assert len({fit.streams.part for fit in asked}) == 3


def test_every_mini_query_draws_new_candidates(net: nn.Module, pool: Pool) -> None:
    asked: list[Fit] = []
    query = strategy(mini_queries=2, subsample=1).query(SingleNet(net, 0), pool, 2, Streams(0, 1))
    drive(query, kept(asked, First()))  # type: ignore[arg-type]
    first, second = ({tuple(row.tolist()) for row in fit.data.x[fit.data.y == 1]} for fit in asked)
    assert second - first


def test_with_few_labelled_images_there_are_enough_candidates(net: nn.Module, pool: Pool) -> None:
    asked: list[Fit] = []
    query = strategy(mini_queries=1, subsample=1).query(SingleNet(net, 0), pool, 9, Streams(0, 1))
    assert len(set(drive(query, kept(asked, First())).tolist())) == 9  # type: ignore[arg-type]
    assert asked[0].data.y.tolist() == [0] * 4 + [1] * 9


def test_a_query_of_fewer_images_has_as_many_mini_queries(net: nn.Module, pool: Pool) -> None:
    asked: list[Fit] = []
    drive(strategy().query(SingleNet(net, 0), pool, 5, Streams(0, 1)), kept(asked, First()))  # type: ignore[arg-type]
    assert [int((fit.data.y == 0).sum()) for fit in asked] == [4, 5, 6, 7, 8]


def test_both_kinds_of_images_unlike_the_labelled_ones_are_chosen(net: nn.Module) -> None:
    """Images of three shades, labels of one: the two others are bought, by classifiers that stopped at 98%."""
    rng, shades = torch.Generator().manual_seed(0), torch.tensor([60] * 40 + [0] * 10 + [250] * 10)
    images = (shades[:, None, None, None] + torch.randint(0, 6, (60, 1, 4, 4), generator=rng)).to(torch.uint8)
    everything = torch.arange(60)
    data = DataSet(images, everything % 3, everything, everything[:0], everything[:0], ("a", "b", "c"))
    pool = toy.bought(data, everything[:30])

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.last(x.flatten(1).float() / 60 - 1)
            return out

    asked: list[Fit] = []
    engine, results = kept(asked), []

    def remembering(fits: Sequence[Fit]) -> Sequence[Trained | Exception]:
        results.extend(engine(fits))
        return results[-len(fits) :]

    quicker = strategy(mini_queries=2, recipe={"optimizer": {"lr": 0.001}})
    query = quicker.query(SingleNet(Scaled().eval(), 0), pool, 12, Streams(0, 1))
    ids = drive(query, remembering)  # type: ignore[arg-type]
    assert {int(id_) // 10 for id_ in ids} == {4, 5}
    for fit, result in zip(asked, results, strict=True):
        assert error_rate(result.net, fit.data.x, fit.data.y) <= 0.02
        assert result.steps < 1000


def test_the_classifier_of_the_published_code() -> None:
    layers = [layer for layer in classifier(128, (256, 256, 256)) if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [
        *((128, 256), (256, 256), (256, 256), (256, 2))
    ]
    recipe = strategy().recipe
    assert (recipe.target_error, recipe.max_checks, recipe.patience, recipe.check_every) == (0.02, 1000, 1000, 1)
    assert strategy(recipe={"max_checks": 7}).recipe.patience == 7


@pytest.mark.parametrize("field", ["mini_queries", "subsample"])
def test_zero_is_refused(field: str) -> None:
    with pytest.raises(Exception, match=f"strategy.{field} is 0") as error:
        strategy(**{field: 0})
    assert isinstance(error.value.__cause__ or error.value, UsageError)


def test_a_net_without_a_dense_layer_is_refused(pool: Pool) -> None:
    with pytest.raises(UsageError, match="model="):
        strategy().check(nn.Sequential(nn.Conv2d(1, 3, 4), nn.Flatten()), pool.x(pool.candidates[:2]))
