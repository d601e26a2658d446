"""How many images or rows to hold in memory at once.

N images, C colour channels, H x W pixels.
"""

from torch import Tensor

SMALL = 3 * 32 * 32  # values of an image; of larger images, fewer are taken at once


def at_once(count: int, values: int) -> int:
    """How many images of `values` numbers each to take at once, if `count` of SMALL numbers are; at least 1."""
    return max(1, count * SMALL // max(SMALL, values))


def chunks(x: Tensor) -> tuple[Tensor, ...]:
    """The images, [N, ...], in parts for one forward pass each; a part has fewer images if they are large.

    A part is small enough for a CPU's caches and large enough for a GPU.
    """
    return in_parts(x, 4096 if x.is_cuda else 512)


def in_parts(x: Tensor, count: int) -> tuple[Tensor, ...]:
    """The images, [N, ...], in parts of `count` images each, or of fewer large ones."""
    return rows_in_parts(x, count, x[:1].numel())


def rows_in_parts(rows: Tensor, count: int, values: int) -> tuple[Tensor, ...]:
    """Images, or their ids, [N, ...], in parts as `at_once` says for images of `values` numbers each."""
    parts: tuple[Tensor, ...] = rows.split(at_once(count, values))
    return parts


def rows_within(most: int, numbers: int) -> int:
    """How many rows of `numbers` numbers each to hold at once: at most `most` numbers in all, but at least one row."""
    return max(1, most // max(1, numbers))
