"""Random streams: every random choice draws from a generator of its own, named by seed, purpose and round."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch


def stream(seed: int, purpose: str, round_: int = 0) -> torch.Generator:
    """A CPU generator that depends on its three names alone, the same on every machine and in any order of calls."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{round_}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class Streams(NamedTuple):
    """The streams of one round of one run."""

    seed: int
    round: int

    def __call__(self, purpose: str) -> torch.Generator:
        return stream(self.seed, purpose, self.round)

    def first_round(self) -> "Streams":
        return self._replace(round=0)


@contextmanager
def global_stream(generator: torch.Generator, device: torch.device | None = None) -> Iterator[None]:
    """Let code that only knows torch's global generator (layer initialisation, dropout) draw from `generator`.

    The generator of the CPU, and that of `device` where it is a GPU, are put back afterwards.
    """
    with torch.random.fork_rng(devices=[device] if device is not None and device.type == "cuda" else []):
        torch.manual_seed(generator.initial_seed())
        yield
