import gc
import warnings
from collections.abc import Sequence

import pytest
import torch
import toy
from torch import nn

from al_runner.engine.drive import Clock, Task, drive, drive_all
from al_runner.engine.one_by_one import train_all
from al_runner.engine.stacked import Stacked
from al_runner.rng import Streams
from al_runner.strategies.kfac_vfe import KfacVfe
from al_runner.strategies.random import Random
from al_runner.training import Fit, Trained, trained
from al_runner.types import TrainData


def asked(size: int) -> Fit:
    run = toy.experiment()
    images, labels = run.data.images[:size], run.data.labels[:size]
    return Fit(nn.Flatten, toy.recipe(), TrainData(images, labels, images, labels), Streams(0, 0))


def made(fit: Fit) -> Trained:
    return Trained(nn.Identity(), len(fit.data.y), 1.0)


class Engine:
    """Answers at once, with the size of the training set as the steps; fails for the sizes in `failing`."""

    def __init__(self, failing: Sequence[int] = ()):
        self.batches: list[list[int]] = []
        self.failing = failing

    def __call__(self, fits: Sequence[Fit]) -> list[Trained | Exception]:
        sizes = [len(fit.data.y) for fit in fits]
        self.batches.append(sizes)
        return [
            ArithmeticError(f"size {size}") if size in self.failing else made(fit)
            for size, fit in zip(sizes, fits, strict=True)
        ]


async def job(*rounds: Sequence[int]) -> list[list[int]]:
    """Ask for fits of these sizes, round by round."""
    return [[result.steps for result in await trained([asked(size) for size in sizes])] for sizes in rounds]


def test_every_job_gets_its_own_answers_and_equal_sizes_train_together() -> None:
    engine = Engine()
    tasks = [Task(job([4], [5], [6])), Task(job([4], [5])), Task(job([4, 5], [6, 6])), Task(job()), Task(job([], [7]))]
    drive_all(tasks, engine)
    assert [task.outcome for task in tasks] == [[[4], [5], [6]], [[4], [5]], [[4, 5], [6, 6]], [], [[], [7]]]
    assert engine.batches == [[4, 4, 4], [5, 5, 5], [6, 6, 6], [7]]


def test_a_job_that_is_behind_catches_up_first() -> None:
    engine = Engine()
    drive_all([Task(job([8], [9], [10])), Task(job([6], [7], [8], [9], [10]))], engine)
    assert engine.batches == [[6], [7], [8, 8], [9, 9], [10, 10]]


def test_a_failed_fit_is_raised_in_its_own_job_and_the_other_jobs_go_on() -> None:
    async def caught() -> str:
        try:
            await trained([asked(4), asked(5)])
        except ArithmeticError as error:
            return f"caught {error}, then {(await trained([asked(6)]))[0].steps}"
        return "nothing raised"

    async def broken() -> None:
        await trained([asked(4)])
        raise ValueError("a job's own mistake")

    tasks = [Task(caught()), Task(job([5])), Task(broken()), Task(job([4], [6]))]
    drive_all(tasks, Engine(failing=[5]))
    assert tasks[0].outcome == "caught size 5, then 6"
    assert isinstance(tasks[1].outcome, ArithmeticError)
    assert isinstance(tasks[2].outcome, ValueError)
    assert tasks[3].outcome == [[4], [6]]
    with pytest.raises(ArithmeticError, match="size 5"):
        drive(job([5]), Engine(failing=[5]))


def test_an_interruption_ends_everything() -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive_all([Task(interrupted())], Engine())


def test_a_clock_runs_with_its_job_and_its_share_of_the_training() -> None:
    clocks = [Clock(), Clock()]
    readings: list[list[float]] = [[], []]

    async def timed(place: int) -> None:
        before = clocks[place]()
        await trained([asked(4)])
        readings[place] = [before, clocks[place]()]

    drive_all([Task(timed(place), clock) for place, clock in enumerate(clocks)], Engine())
    for before, after in readings:
        assert 1 <= after - before < 1.1  # the engine reports 1.0 for each
    rest = clocks[0]()
    assert clocks[0]() == rest


def test_a_forgotten_await_gives_a_warning() -> None:
    async def forgetful() -> None:
        job([4])

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        drive(forgetful(), Engine())
        gc.collect()
    assert any("never awaited" in str(warning.message) for warning in caught)


def test_a_sweep_in_lock_step_equals_its_runs_one_by_one() -> None:
    """Several strategies and seeds, one resumed in the middle; fits that match train in stacks."""
    kinds = [(strategy, seed) for strategy in (Random(), KfacVfe()) for seed in (0, 1, 2)]
    alone = [toy.Memory() for _ in kinds]
    for (strategy, seed), memory in zip(kinds, alone, strict=True):
        drive(toy.experiment(strategy, seed).run(memory), train_all)
    together = [toy.Memory() for _ in kinds]
    together[4].ids, together[4].rows = alone[4].ids[:2], alone[4].rows[:2]
    tasks = [
        Task(toy.experiment(strategy, seed).run(memory))
        for (strategy, seed), memory in zip(kinds, together, strict=True)
    ]
    drive_all(tasks, Stacked(max_stacked=99).train_all)
    assert [task.outcome for task in tasks] == [None] * len(tasks)
    for memory, other in zip(together, alone, strict=True):
        assert torch.equal(torch.cat(memory.ids), torch.cat(other.ids))
        for row, wanted in zip(memory.untimed(), other.untimed(), strict=True):
            assert row == pytest.approx(wanted, rel=1e-4, abs=1e-6)
