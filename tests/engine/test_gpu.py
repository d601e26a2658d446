"""The same engines on a GPU; skipped if there is none."""

from functools import partial
from itertools import islice

import made_fits
import pytest
import torch
from torch import Tensor

from al_runner.engine.one_by_one import train
from al_runner.engine.parts import orders
from al_runner.engine.stack import Stack
from al_runner.engine.stacked import Stacked, train_stack
from al_runner.models.layers import FlipAndShift
from al_runner.training import Fit
from al_runner.types import TrainData

if not torch.cuda.is_available():
    pytest.skip("no CUDA device here", allow_module_level=True)


def on_gpu(fits: list[Fit]) -> list[Fit]:
    return [fit._replace(data=TrainData(*(part.cuda() for part in fit.data))) for fit in fits]


@pytest.mark.parametrize("model", made_fits.MODELS)
@pytest.mark.parametrize("optimizer", made_fits.OPTIMISERS)
def test_final_weights_equal_those_of_the_one_by_one_engine(model: str, optimizer: str) -> None:
    recipe = made_fits.recipe(optimizer=made_fits.OPTIMISERS[optimizer], augment=partial(FlipAndShift, 1))
    asked = on_gpu(made_fits.fits(made_fits.MODELS[model], recipe, count=9))
    made_fits.require_equal(train_stack(asked), [train(fit) for fit in asked], 1e-9)


def test_masks_are_those_of_the_cpu() -> None:
    asked = made_fits.fits(made_fits.MODELS["dropout"], made_fits.recipe(augment=partial(FlipAndShift, 1)))
    alone = [train(fit) for fit in asked]
    for one, other in zip(train_stack(on_gpu(asked)), alone, strict=True):
        for a, b in zip(one.net.cpu().parameters(), other.net.parameters(), strict=True):  # type: ignore[union-attr]
            torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_from_the_fourth_step_on_a_graph_is_replayed() -> None:
    """With a short last minibatch there are two graphs; a smaller stack has new ones."""
    asked = on_gpu(made_fits.fits(made_fits.MODELS["batch norm"], made_fits.recipe(check_every=40)))
    stack = Stack(asked)

    def advance(rows: list[int]) -> Tensor:
        blocks = [list(islice(orders(21, asked[row].recipe, asked[row].streams("order")), 40)) for row in rows]
        return stack.train(torch.stack([torch.cat(block) for block in blocks]), [len(ids) for ids in blocks[0]])

    assert bool(advance([0, 1, 2, 3]).isfinite().all())
    assert sorted(stack._replays) == [5, 8]
    assert all(replay._graph is not None for replay in stack._replays.values())
    stack.keep([0, 2])
    assert stack._replays == {}
    advance([0, 2])
    assert all(replay._graph is not None for replay in stack._replays.values())


def test_a_single_net_is_a_stack_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = made_fits.counted(monkeypatch)
    Stacked().train_all(on_gpu(made_fits.fits(made_fits.MODELS["dropout"], made_fits.recipe(), 1)))
    assert sizes == [1]
