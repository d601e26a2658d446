"""The same engines on a GPU, or on a stand-in for one (tests/support/standin.py) if there is none."""

import gc
import logging
import weakref
from collections.abc import Iterator
from functools import partial
from itertools import islice
from types import SimpleNamespace

import made_fits
import pytest
import torch
from standin import StandIn
from torch import Tensor

from al_runner.engine import stacked
from al_runner.engine.one_by_one import train
from al_runner.engine.parts import orders
from al_runner.engine.replay import Replay
from al_runner.engine.stack import Stack
from al_runner.engine.stacked import Stacked, train_stack
from al_runner.models.layers import FlipAndShift
from al_runner.training import Fit, Trained

REAL = torch.cuda.is_available()
# The stand-in is slow, and to it optimisers differ only in their operations.
OPTIMISERS = sorted(made_fits.OPTIMISERS) if REAL else ["asgd", "nadam", "rmsprop-centered", "sgd-nesterov"]
PAIRS = [*((model, "adam-fused") for model in made_fits.MODELS), *(("dropout", name) for name in OPTIMISERS)]


@pytest.fixture(autouse=True)
def gpu() -> Iterator[StandIn | SimpleNamespace]:
    """What was noticed on the stand-in; nothing on a real GPU."""
    if REAL:
        yield SimpleNamespace(notes={}, mismatches={})
        return
    with StandIn(2) as standin:
        yield standin
        assert not standin.notes
        assert not standin.mismatches


def on_gpu(fits: list[Fit], device: str = "cuda") -> list[Fit]:
    """The fits on a GPU. As in a sweep, they share their validation images."""
    val = {name: getattr(fits[0].data, name).to(device) for name in ("val_x", "val_y")}
    return [
        fit._replace(data=fit.data._replace(x=fit.data.x.to(device), y=fit.data.y.to(device), **val)) for fit in fits
    ]


@pytest.mark.parametrize(("model", "optimizer"), PAIRS)
def test_final_weights_equal_those_of_the_one_by_one_engine(
    caplog: pytest.LogCaptureFixture, model: str, optimizer: str
) -> None:
    recipe = made_fits.recipe(optimizer=made_fits.OPTIMISERS[optimizer], augment=partial(FlipAndShift, 1))
    asked = on_gpu(made_fits.fits(made_fits.MODELS[model], recipe, count=6))
    with caplog.at_level(logging.WARNING):
        together = train_stack(asked)
    assert not caplog.records  # every graph could be captured, also those of a stack that became smaller
    made_fits.require_equal(together, [train(fit) for fit in asked], 1e-9)


FAVOURED = {"class_weights": "balanced"}, {"minibatches": "balanced"}


@pytest.mark.parametrize("changes", [{"monitor": "loss", "keep": "last"}, {"drop_last": True}, *FAVOURED], ids=str)
def test_every_way_to_end_a_training_and_to_favour_rare_classes_is_the_same(changes: dict[str, object]) -> None:
    asked = on_gpu(made_fits.fits(made_fits.MODELS["dropout"], made_fits.recipe(**changes), count=3))
    made_fits.require_equal(train_stack(asked), [train(fit) for fit in asked], 1e-9)


def test_masks_are_those_of_the_cpu() -> None:
    """With SGD: on a GPU, Adam counts its steps in float32, so its weights differ by more than rounding in float64."""
    recipe = made_fits.recipe(augment=partial(FlipAndShift, 1), optimizer=made_fits.OPTIMISERS["sgd-nesterov"])
    asked = made_fits.fits(made_fits.MODELS["dropout"], recipe, count=2)
    alone = [train(fit) for fit in asked]
    for one, other in zip(train_stack(on_gpu(asked)), alone, strict=True):
        assert isinstance(one, Trained)
        for a, b in zip(one.net.cpu().parameters(), other.net.parameters(), strict=True):
            torch.testing.assert_close(a.cpu(), b, rtol=0, atol=1e-9)


def advance(stack: Stack, asked: list[Fit], rows: list[int]) -> Tensor:
    """Train the nets at `rows` to the next check."""
    steps = stack.per_check
    blocks = [list(islice(orders(21, asked[row].recipe, asked[row].streams("order")), steps)) for row in rows]
    return stack.train(torch.stack([torch.cat(block) for block in blocks]), [len(ids) for ids in blocks[0]])


@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
def test_from_the_fourth_step_on_a_graph_is_replayed(device: str) -> None:
    """With a short last minibatch there are two graphs. A smaller stack has new ones, in a pool of their own."""
    if REAL and int(device[-1]) >= torch.cuda.device_count():
        pytest.skip("one GPU only")
    asked = on_gpu(made_fits.fits(made_fits.MODELS["batch norm"], made_fits.recipe(check_every=15)), device)
    stack = Stack(asked)
    assert bool(advance(stack, asked, [0, 1, 2, 3]).isfinite().all())
    assert sorted(stack._replays) == [5, 8]
    assert all(replay._graph is not None for replay in stack._replays.values())
    stack.keep([0, 2])
    assert stack._replays == {}
    advance(stack, asked, [0, 2])
    assert all(replay._graph is not None for replay in stack._replays.values())
    stack.close()


def test_from_the_fourth_check_on_validation_is_replayed_with_the_weights_of_the_moment() -> None:
    asked = on_gpu(made_fits.fits(made_fits.MODELS["batch norm"], made_fits.recipe(), count=2))
    stack, alone = Stack(asked), Stack(asked)
    alone._validation = Replay(alone._validate, None)
    for _ in range(6):
        for one in (stack, alone):
            advance(one, asked, [0, 1])
        torch.testing.assert_close(stack.validate(), alone.validate(), rtol=0, atol=1e-9)
    assert stack._validation._graph is not None
    stack.keep([1])
    assert stack._validation._graph is None
    stack.close()
    alone.close()


def test_a_single_net_is_a_stack_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = made_fits.counted(monkeypatch)
    Stacked().train_all(on_gpu(made_fits.fits(made_fits.MODELS["dropout"], made_fits.recipe(max_checks=1), 1)))
    assert sizes == [1]


class Remembered(Stack):
    """A stack that leaves a weak reference to itself. With more than `most` nets, its memory is not enough."""

    seen: list["weakref.ref[Remembered]"]
    most: int

    def __init__(self, fits: list[Fit]):
        super().__init__(fits)
        self.alive = [len(stack) for ref in self.seen if (stack := ref()) is not None]
        self.seen.append(weakref.ref(self))

    def train(self, positions: Tensor, sizes: list[int]) -> Tensor:
        assert not self.alive  # whatever came before this stack is gone
        losses = super().train(positions, sizes)
        if len(self) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return losses


@pytest.mark.parametrize(("most", "stacks"), [(9, 1), (2, 3)])
def test_a_stack_that_is_done_or_has_failed_is_gone_at_once(
    monkeypatch: pytest.MonkeyPatch, most: int, stacks: int
) -> None:
    """Without the garbage collector: 4 nets at once, or after a shortage of memory 2 and 2."""
    seen: list[weakref.ref[Remembered]] = []
    monkeypatch.setattr(Remembered, "seen", seen, raising=False)
    monkeypatch.setattr(Remembered, "most", most, raising=False)
    monkeypatch.setattr(stacked, "Stack", Remembered)
    asked = on_gpu(made_fits.fits(made_fits.MODELS["dropout"], made_fits.recipe(max_checks=2), 4))
    gc.collect()
    gc.disable()
    try:
        outcomes = Stacked(4).train_all(asked)
        assert [ref() for ref in seen] == [None] * stacks
    finally:
        gc.enable()
    assert all(isinstance(outcome, Trained) for outcome in outcomes)


def test_a_net_too_large_for_a_stack_of_one_trains_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Outside a stack it has no copies and no graphs, and `frugal` may compute it in parts."""
    caplog.set_level(logging.INFO)
    asked = on_gpu(made_fits.fits(made_fits.MODELS["dropout"], made_fits.recipe(max_checks=1), 2))
    tried: list[int] = []

    def no_memory(fits: list[Fit]) -> list[Trained | Exception]:
        tried.append(len(fits))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(stacked, "train_stack", no_memory)
    engine = Stacked()
    made_fits.require_equal(engine.train_all(asked), [train(fit) for fit in asked], 1e-9)
    assert any("not enough for a stack of one net" in line for line in caplog.messages)
    engine.train_all(asked)
    assert tried == [2, 1, 1]  # and its kind is not stacked again
