"""Random streams: every random choice has its own generator, named by seed, purpose and round."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor


def stream(seed: int, purpose: str, round_: int = 0) -> torch.Generator:
    """A CPU generator that depends only on its three names. It is the same on every machine, in any order of calls."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{round_}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class Streams(NamedTuple):
    """The streams of one round of one run."""

    seed: int
    round: int
    part: str = ""  # names one of several fits in the round
    shared: str = ""  # a purpose for which all parts have the same stream, that of a round with only one fit

    def __call__(self, purpose: str) -> torch.Generator:
        return stream(self.seed, purpose + ("" if purpose == self.shared else self.part), self.round)

    def of(self, part: object) -> "Streams":
        """The streams of one of several fits in the round, such as a member of an ensemble."""
        return self._replace(part=f"{self.part}/{part}")

    def first_round(self) -> "Streams":
        return self._replace(round=0)


@contextmanager
def global_stream(generator: torch.Generator, device: torch.device | None = None) -> Iterator[None]:
    """Let code that only knows torch's global generator (layer initialisation, dropout) draw from `generator`.

    The generator of the CPU, and that of `device` if it is a GPU, get their old states back afterwards.
    """
    with torch.random.fork_rng(devices=[device] if device is not None and device.type == "cuda" else []):
        torch.manual_seed(generator.initial_seed())
        yield


def hashed_bits(stream: Tensor, count: int) -> Tensor:
    """Uniform int16 numbers, [count], that depend only on `stream` (int64, one number).

    SplitMix64 (Steele, Lea & Flood, 2014) as a function of a counter. It gives the same numbers on a CPU, on a GPU and
    under vmap, where every net of a stack has its own stream and torch's generators do not work.
    """
    words = torch.arange((count + 3) // 4, device=stream.device)
    return _mixed(_mixed(stream) + words * _GAMMA).view(torch.int16)[:count]


_GAMMA, _FIRST, _SECOND = (value - (1 << 64) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def _mixed(z: Tensor) -> Tensor:
    """SplitMix64's finaliser; the masks make torch's arithmetic shifts logical."""
    z = (z ^ ((z >> 30) & ((1 << 34) - 1))) * _FIRST
    z = (z ^ ((z >> 27) & ((1 << 37) - 1))) * _SECOND
    return z ^ ((z >> 31) & ((1 << 33) - 1))
