"""The engine that trains many fits at once: fits that match train as one stack, the others alone."""

import logging
from collections.abc import Sequence
from itertools import islice
from time import perf_counter

import torch

from al_runner.engine import one_by_one
from al_runner.engine.memory import free_bytes, step_bytes
from al_runner.engine.parts import orders
from al_runner.engine.stack import Stack, share_validation
from al_runner.engine.stackable import kind, obstacle
from al_runner.engine.stopping import NonFiniteLoss, Patience, require_finite
from al_runner.training import Fit, Trained

log = logging.getLogger(__name__)

Outcome = Trained | Exception


class Stacked:
    """An engine for many fits on one device, with at most `max_stacked` nets in one stack.

    None means as many as fit into a GPU's memory. On a CPU it means no stack, because a stack is slower there.
    """

    def __init__(self, max_stacked: int | None = None):
        self._max_stacked = max_stacked
        self._room_for: dict[str, int] = {}  # by kind of fit: the most at once, if memory was not enough for more
        self._step_bytes: dict[str, int | None] = {}  # by kind of fit; None if it can't be stacked
        self._logged: set[str] = set()

    def train_all(self, fits: Sequence[Fit]) -> list[Outcome]:
        """Train the fits, in stacks of those that match; a fit that failed has its exception in the list."""
        groups: dict[str, list[int]] = {}
        for place, fit in enumerate(fits):
            sizes = f"{tuple(fit.data.x.shape)} {len(fit.data.val_y)}"
            where = f"{sizes} {fit.data.x.device} {fit.chances is None} {fit.optimizer_state is None}"
            groups.setdefault(f"{kind(fit)} {where}", []).append(place)
        outcomes: dict[int, Outcome] = {}
        for places in groups.values():
            outcomes.update(zip(places, self._train_group([fits[place] for place in places]), strict=True))
        return [outcomes[place] for place in range(len(fits))]

    def _train_group(self, fits: Sequence[Fit]) -> list[Outcome]:
        """Train fits that match, in as few stacks as memory allows."""
        size = self._room(fits)
        if size == 0:
            return one_by_one.train_all(fits)
        parts = [fits[start : start + size] for start in range(0, len(fits), size)]
        if len(parts) > 1:
            self._log_once(
                f"{len(fits)} nets of one kind train {size} at a time: max_stacked or memory does not allow more"
            )
        return [outcome for part in parts for outcome in self._train_part(part)]

    def _room(self, fits: Sequence[Fit]) -> int:
        """How many of these fits to stack at once; 0 means that they are not stacked."""
        data, name = fits[0].data, kind(fits[0])
        most = self._room_for.get(name, self._max_stacked)
        wanted = min(len(fits), most or (len(fits) if data.x.is_cuda else 1))
        if wanted == 1 and not data.x.is_cuda:  # on a GPU a CUDA graph makes even one net faster
            return 0
        if name not in self._step_bytes:
            self._step_bytes[name] = self._tried(fits)
        each = self._step_bytes[name]
        if each is None:
            return 0
        images = data.x.nbytes + data.y.nbytes + (0 if share_validation(fits) else data.val_x.nbytes)
        room = max(1, free_bytes(data.x.device) // (each + images))
        return min(wanted, room)

    def _tried(self, fits: Sequence[Fit]) -> int | None:
        """Bytes that each of these fits of one kind needs in a stack; None, and a line in the log, if they can't be."""
        try:
            why = obstacle(fits)
            if why is None:
                return step_bytes(fits[0])
        except Exception as error:  # memory is short, or the net has a mistake, which shows when it trains alone
            why = " ".join(f"{type(error).__name__}: {error}".split())
        self._log_once(f"nets of one kind train one by one, because they can't be stacked: {why}")
        return None

    def _train_part(self, fits: Sequence[Fit]) -> list[Outcome]:
        """Train one stack. If memory was not enough, train stacks of half the size, or a single net outside a stack."""
        try:
            return train_stack(fits)
        except torch.OutOfMemoryError:
            pass
        except Exception as error:  # `drive` raises it in the jobs that asked for these fits
            return [error] * len(fits)
        # Not inside `except`: until its end, the error's traceback keeps the failed stack in memory.
        torch.cuda.empty_cache()
        if len(fits) == 1:
            self._step_bytes[kind(fits[0])] = None
            self._log_once("memory was not enough for a stack of one net; its kind now trains without, in less memory")
            return one_by_one.train_all(fits)
        self._room_for[kind(fits[0])] = half = len(fits) // 2
        self._log_once(f"memory was not enough for {len(fits)} nets of one kind; now {half} train at a time")
        return self._train_group(fits)

    def _log_once(self, line: str) -> None:
        if line not in self._logged:
            self._logged.add(line)
            log.info(line)


class Member:
    """One fit of a stack: its minibatches, its stopping rule, its share of the time, and its outcome."""

    def __init__(self, fit: Fit, least: int):
        self.batches = orders(len(fit.data.y), fit.recipe, fit.streams("order"), fit.drawn_by, least)
        self.rule = Patience(fit.recipe)
        self.seconds = 0.0
        self.outcome: Outcome | None = None


def train_stack(fits: Sequence[Fit]) -> list[Outcome]:
    """Train fits of one kind and size together, each by the rule of `one_by_one.train` and with the same streams.

    A net that is finished leaves the stack. On a GPU every new size of the stack needs a new capture, so there finished
    nets leave only once they are more than a quarter of the stack.
    """
    stack = Stack(fits)
    try:
        return train_rows(stack, [Member(fit, stack.least) for fit in fits])
    finally:
        stack.close()


def train_rows(stack: Stack, members: Sequence[Member]) -> list[Outcome]:
    """Train the nets of a new stack; `members` are those of its rows. Returns their outcomes."""
    rows, steps = members, 0  # the member in each row of the stack
    while training := [row for row, member in enumerate(rows) if member.outcome is None]:
        if len(rows) - len(training) > (len(rows) // 4 if stack.captures else 0):
            stack.keep(training)
            rows = [rows[row] for row in training]
            training = list(range(len(rows)))
        start = perf_counter()
        improved = check(stack, rows, steps)
        if improved:
            stack.remember(improved)
        steps += stack.per_check
        share = (perf_counter() - start) / len(training)
        for row in training:
            member = rows[row]
            member.seconds += share
            if member.outcome is None and member.rule.over:
                member.outcome = Trained(stack.net(row), steps, member.seconds)
    return [member.outcome for member in members if member.outcome is not None]


def check(stack: Stack, rows: Sequence[Member], steps_before: int) -> list[int]:
    """Train to the next check and record its errors; returns the rows with a new lowest validation error."""
    blocks = [list(islice(member.batches, stack.per_check)) for member in rows]
    losses = stack.train(torch.stack([torch.cat(block) for block in blocks]), [len(ids) for ids in blocks[0]])
    report = torch.cat(
        [losses.double(), stack.validate()[None]]
    ).cpu()  # the only wait for the device until the next check
    improved = []
    for row, member in enumerate(rows):
        if member.outcome is not None:
            continue
        try:
            require_finite(report[:-1, row], steps_before)
        except NonFiniteLoss as error:
            member.outcome = error
        else:
            if member.rule.record(float(report[-1, row])):
                improved.append(row)
    return improved
