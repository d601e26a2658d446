"""Factors of several parts of a pool at once, each in its own process."""

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import torch
from torch import Tensor, nn

from al_runner.fisher.factors import Factors, FactorSums, added, factor_sums

Batches = Iterable[tuple[Tensor, Tensor | None]]
Arrays = dict[str, tuple[object, object]]


def parallel_mean_factors(
    net: nn.Module, parts: Sequence[Callable[[], Batches]], processes: int, skip_untreated: bool = False
) -> dict[str, Factors]:
    """`mean_factors` of all parts together, computed in `processes` processes; only the order of summation differs.

    A part is a function that opens its batches in its process, for example from a file. The part and `net` (on the CPU)
    are pickled; images are not. Each process uses one thread. Raises UsageError as `mean_factors` does.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may stop for ever
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        sums = added(map(_tensors, pool.map(partial(_sums, net, skip_untreated), parts)))
    return sums.mean()


def _sums(net: nn.Module, skip_untreated: bool, part: Callable[[], Batches]) -> tuple[int, Arrays]:
    """Runs in the process: the sums as arrays. Unlike tensors, arrays are sent whole and outlive the process."""
    torch.set_num_threads(1)
    examples, blocks = factor_sums(net, part(), skip_untreated)
    return examples, {name: (psi.numpy(), tau.numpy()) for name, (psi, tau) in blocks.items()}


def _tensors(sent: tuple[int, Arrays]) -> FactorSums:
    examples, blocks = sent
    return FactorSums(
        examples, {name: Factors(*(torch.from_numpy(array) for array in pair)) for name, pair in blocks.items()}
    )
