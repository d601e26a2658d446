"""Error and time of the Nystrom inverse against the exact one, by rank, and what they do to the choice, one CPU thread.

Error: relative, in the Frobenius norm, of the largest factor of small_cnn (the 1,025 inputs of its first dense layer)
on scikit-learn's digits, after 200 steps of training on 100 labels. Choice: how many of the 32 images chosen from the
other 1,697 are those chosen with exact inverses; by chance it would be 0.6. Time: a random factor of 4,609 inputs, the
largest of ResNet-18.
"""

from time import perf_counter

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from al_runner.fisher import damped_inverse, mean_factors, nystrom_inverse
from al_runner.models.small_cnn import small_cnn
from al_runner.strategies.kfac_vfe import KfacVfe

RANKS = (16, 64, 256, 512, 1024, 1025)
DAMPING = KfacVfe.damping


def trained(x: Tensor, y: Tensor) -> nn.Module:
    torch.manual_seed(0)
    net = small_cnn((1, 8, 8), 10)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(200):
        at = torch.randint(len(y), (32,))
        optimizer.zero_grad()
        cross_entropy(net(x[at]), y[at]).backward()
        optimizer.step()
    return net.eval()


def seconds(matrix: Tensor, rank: int | None) -> float:
    columns = torch.randperm(len(matrix))[:rank]
    began = perf_counter()
    _ = damped_inverse(matrix, DAMPING) if rank is None else nystrom_inverse(matrix, DAMPING, columns)
    return perf_counter() - began


def main() -> None:
    torch.set_num_threads(1)
    images, labels = load_digits(return_X_y=True)
    x = torch.from_numpy(images.astype(np.float32)).reshape(-1, 1, 8, 8) / 16
    net, pool = trained(x[:100], torch.from_numpy(labels[:100])), x[100:]
    matrix = max((factors.psi for factors in mean_factors(net, [(pool, None)]).values()), key=len)
    exact, chosen = (
        damped_inverse(matrix, DAMPING),
        set(KfacVfe(target="parameters").choose(net, pool, 32).chosen.tolist()),
    )
    big = torch.randn(9000, 4609, dtype=torch.float64)
    big = big.T @ big
    print(f"exact, {len(big)} inputs: {seconds(big, None):.2f} s")
    order = torch.randperm(len(matrix), generator=torch.Generator().manual_seed(0))
    for rank in RANKS:
        error = (nystrom_inverse(matrix, DAMPING, order[:rank]) - exact).norm() / exact.norm()
        shared = len(
            chosen & set(KfacVfe(target="parameters", nystrom_rank=rank).choose(net, pool, 32).chosen.tolist())
        )
        print(f"rank {rank:5}: error {error:8.1e}, {shared:2} of 32 chosen alike, {seconds(big, rank):6.2f} s")


if __name__ == "__main__":
    main()
