"""tr(psi_x M) of single images of the USPS net: from the rows (B) against forming psi_x (A), on one CPU thread.

A in two ways: the trace of the product psi_x M, as the paper's published code takes it (goals: 500 times as fast for a
dense layer, 2.5 times for a convolution), and the sum of their entrywise product, the best that can be done with
psi_x formed. Equal results first.
"""

from functools import partial

import torch
from paired import paired, start
from torch import Tensor

from al_runner.fisher.traces import _product

LAYERS = {"dense 721": (64, 1, 721, "500"), "conv 144 x 181": (64, 144, 181, "2.5")}  # images, t, d


def product_formed(rows: Tensor, matrix: Tensor) -> Tensor:
    """[n, t, d], [d, d] -> [n], the trace of psi_x M."""
    return ((rows.mT @ rows) @ matrix).diagonal(dim1=1, dim2=2).sum(1)


def entrywise_formed(rows: Tensor, matrix: Tensor) -> Tensor:
    """[n, t, d], [d, d] -> [n], the sum of the entries of psi_x o M."""
    return ((rows.mT @ rows) * matrix).sum((1, 2))


def main() -> None:
    repeats = start(__doc__, "formed", "ours")
    for name, (images, positions, inputs, goal) in LAYERS.items():
        rows = torch.rand(images, positions, inputs)
        matrix = torch.rand(inputs, inputs)
        matrix = matrix @ matrix.T
        ours = partial(_product, rows, matrix)
        for formed, wanted in ((product_formed, goal), (entrywise_formed, "-")):
            torch.testing.assert_close(ours(), formed(rows, matrix), rtol=1e-4, atol=0)
            label = f"{name}, {formed.__name__.removesuffix('_formed')}"
            print(paired(partial(formed, rows, matrix), ours, repeats).line(label, wanted))


if __name__ == "__main__":
    main()
