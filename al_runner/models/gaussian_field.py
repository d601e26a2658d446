"""Gaussian fields over images, and the risk that a label would leave (Zhu, Ghahramani & Lafferty, 2003).

L labelled and U unlabelled images, C classes; float64. Images are the nodes of a graph whose edges weigh
w_ij = exp(-d_ij / scale^2), d the mean squared difference of pixels in [0, 1], or of floats as they are. The harmonic
function f is, at an unlabelled node, the weighted mean of its neighbours' f, at a labelled one its label: f_u is the
chance that a walk from u, its steps as likely as their edges are heavy, meets a label of that class first. P are the
steps' chances. With chance LOST a step ends the walk in any class: images that no label reaches have an answer too,
which is doubt.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from al_runner.types import rows_within

LOST = 1e-9  # too rare to matter where walks reach labels, far above a double's rounding
LEAST = 1e-12  # the least probability that is told from 0
ENTRIES = 2**22  # of the largest tensor that is held, beside U x U


def log_weights(x: Tensor, y: Tensor, scale: float) -> Tensor:
    """ln w of every pair, [N, ...] and [M, ...] -> [N, M]."""
    x, y = (images.flatten(1).double() / (255 if images.dtype == torch.uint8 else 1) for images in (x, y))
    squared = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
    return -squared.clamp_min_(0) / (x.shape[1] * scale**2)


def steps(labelled: Tensor, unlabelled: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """P from every unlabelled image to the unlabelled, [U, U], and to the labelled ones, [U, L]; none to itself."""
    among = log_weights(unlabelled, unlabelled, scale).fill_diagonal_(-torch.inf)
    whole = torch.cat([among, log_weights(unlabelled, labelled, scale)], 1).softmax(1) * (1 - LOST)
    return whole[:, : len(unlabelled)], whole[:, len(unlabelled) :]


def solved(among: Tensor, right: Tensor) -> Tensor:
    """(I - P_uu)^-1 times `right`, [U, U], [U, R] -> [U, R]."""
    solution: Tensor = torch.linalg.solve(torch.eye(len(among), dtype=among.dtype, device=among.device) - among, right)
    return solution


def class_masses(labels: Tensor, f: Tensor) -> Tensor:
    """What f's classes are weighed by for a prediction, from labels one-hot [L, C] and f [U, C] -> [C].

    It gives all values of f together the shares of the labels, each class counted once more than it is (Zhu et al.,
    2003, class mass normalisation): few labels leave f flat, its sides of 1/2 without meaning.
    """
    masses: Tensor = (labels.sum(0) + 1) / f.sum(0).clamp_min(LEAST)
    return masses


def harmonic(labelled: Tensor, f: Tensor, unlabelled: Tensor, scale: float) -> Tensor:
    """f at the unlabelled images, [U, C], from that at the labelled ones, [L, C]: f_u = (I - P_uu)^-1 P_ul f_l."""
    among, to_labels = steps(labelled, unlabelled, scale)
    return solved(among, to_labels @ f + LOST / f.shape[1])


@dataclass(frozen=True, eq=False)
class Field:
    """The harmonic function at unlabelled images, and what any new label would make of it."""

    f: Tensor  # [U, C]
    visits: Tensor  # (I - P_uu)^-1, [U, U]: how often a walk from u is at v; the Laplacian's inverse times v's degree

    @classmethod
    def of(cls, labelled: Tensor, y: Tensor, unlabelled: Tensor, scale: float) -> "Field":
        """From uint8 images [L, ...], labels [L], images [U, ...]; classes up to the highest label take part."""
        among, to_labels = steps(labelled, unlabelled, scale)
        visits = solved(among, torch.eye(len(among), dtype=among.dtype, device=among.device))
        f = one_hot(y).double()
        return cls(visits @ (to_labels @ f + LOST / f.shape[1]), visits)

    def expected_risks(self) -> Tensor:
        """Expected risk once an image's label is known, for every image, [U].

        Sum over y of f_ky R(f^+(k, y)), R(f) = sum over u of 1 - max_c f_uc, f^+(k, y) = f + (e_y - f_k) v_uk / v_kk:
        of Zhu et al. (2003) for two classes.
        """
        count, classes = self.f.shape
        moves = self.visits / self.visits.diagonal()  # [U, U], column k: how much f_u follows a change of f_k
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
        """The field without image `k`, which has that label now: a rank-one downdate, O(U^2)."""
        rest = torch.arange(len(self.f), device=self.f.device) != k
        column, row = self.visits[rest, k], self.visits[k, rest]
        change = -self.f[k]
        change[label] += 1
        f = self.f[rest] + (column / self.visits[k, k])[:, None] * change
        visits = self.visits[rest][:, rest] - (column / self.visits[k, k])[:, None] * row
        return Field(f, visits)
