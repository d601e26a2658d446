"""Gaussian fields over images, and the risk that is left after a new label (Zhu, Ghahramani & Lafferty, 2003).

L labelled and U unlabelled images, C classes; float64. The images are the nodes of a graph. Its edges have the weights
w_ij = exp(-d_ij / scale^2), where d is the mean squared difference of pixels in [0, 1], or of floats as they are. The
harmonic function f is the label at a labelled node, and the weighted mean of the neighbours' f at an unlabelled node.
Take a random walk from u whose step probabilities P are proportional to the edges' weights. Then f_u is the chance of
every class to be that of the first label on the walk. With probability LOST a step ends the walk in a random class. So
images that no label reaches get a value, too: an even one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from al_runner.system.chunks import rows_within

LOST = 1e-9  # too small to matter if walks reach labels, far above the rounding of float64
LEAST = 1e-12  # the smallest probability; smaller ones are raised to it
ENTRIES = 2**22  # the most numbers in a temporary tensor, besides [U, U]


def log_weights(x: Tensor, y: Tensor, scale: float) -> Tensor:
    """ln w of every pair, [N, ...] and [M, ...] -> [N, M]."""
    x, y = (images.flatten(1).double() / (255 if images.dtype == torch.uint8 else 1) for images in (x, y))
    squared = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
    return -squared.clamp_min_(0) / (x.shape[1] * scale**2)


def step_chances(labelled: Tensor, unlabelled: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """P from every unlabelled image to the unlabelled, [U, U], and to the labelled images, [U, L]; 0 to itself."""
    among = log_weights(unlabelled, unlabelled, scale).fill_diagonal_(-torch.inf)
    whole = torch.cat([among, log_weights(unlabelled, labelled, scale)], 1).softmax(1) * (1 - LOST)
    return whole[:, : len(unlabelled)], whole[:, len(unlabelled) :]


def solved(among: Tensor, right: Tensor) -> Tensor:
    """(I - P_uu)^-1 times `right`, [U, U], [U, R] -> [U, R]."""
    solution: Tensor = torch.linalg.solve(torch.eye(len(among), dtype=among.dtype, device=among.device) - among, right)
    return solution


def class_masses(labels: Tensor, f: Tensor) -> Tensor:
    """The factor by which f is multiplied for a prediction, for each class, from one-hot labels [L, C] and f [U, C].

    The factors [C] give the sum of f the class shares of the labels, with one label more for each class (Zhu et al.,
    2003, class mass normalisation). It is needed because with few labels f is nearly flat, and the class with the
    largest f means little.
    """
    masses: Tensor = (labels.sum(0) + 1) / f.sum(0).clamp_min(LEAST)
    return masses


def harmonic(labelled: Tensor, f: Tensor, unlabelled: Tensor, scale: float) -> Tensor:
    """f at the unlabelled images, [U, C], from f at the labelled images, [L, C]: f_u = (I - P_uu)^-1 P_ul f_l."""
    among, to_labels = step_chances(labelled, unlabelled, scale)
    return solved(among, to_labels @ f + LOST / f.shape[1])


@dataclass(frozen=True, eq=False)
class Field:
    """The harmonic function at the unlabelled images, and how a new label would change it."""

    f: Tensor  # [U, C]
    visits: Tensor  # (I - P_uu)^-1, [U, U]: the expected visits at v of a walk from u; inverse Laplacian times degree

    @classmethod
    def of(cls, labelled: Tensor, y: Tensor, unlabelled: Tensor, scale: float) -> "Field":
        """From uint8 images [L, ...], their labels [L] and images [U, ...]; its classes are 0 to the largest label."""
        among, to_labels = step_chances(labelled, unlabelled, scale)
        visits = solved(among, torch.eye(len(among), dtype=among.dtype, device=among.device))
        f = one_hot(y).double()
        return cls(visits @ (to_labels @ f + LOST / f.shape[1]), visits)

    def expected_risks(self) -> Tensor:
        """The expected risk after the label of an image becomes known, for every image, [U].

        It is the sum over y of f_ky R(f^+(k, y)), with R(f) = sum over u of 1 - max_c f_uc and
        f^+(k, y) = f + (e_y - f_k) v_uk / v_kk. For two classes it is the risk of Zhu et al. (2003).
        """
        count, classes = self.f.shape
        moves = self.visits / self.visits.diagonal()  # [U, U], column k: how far f_u moves if f_k moves by 1
        risks = []
        for part in torch.arange(count, device=self.f.device).split(rows_within(ENTRIES, count * classes)):
            expected = torch.zeros(len(part), dtype=self.f.dtype, device=self.f.device)
            for label in range(classes):
                change = -self.f[part]
                change[:, label] += 1
                after = self.f[:, None] + moves[:, part, None] * change  # [U, k, C]
                expected += self.f[part, label] * (1 - after.amax(2)).sum(0)
            risks.append(expected)
        return torch.cat(risks)

    def labelled_as(self, k: int, label: int) -> "Field":
        """The field after image `k` got `label`; the image is no longer in it. A rank-one update, O(U^2)."""
        rest = torch.arange(len(self.f), device=self.f.device) != k
        column, row = self.visits[rest, k], self.visits[k, rest]
        change = -self.f[k]
        change[label] += 1
        f = self.f[rest] + (column / self.visits[k, k])[:, None] * change
        visits = self.visits[rest][:, rest] - (column / self.visits[k, k])[:, None] * row
        return Field(f, visits)
