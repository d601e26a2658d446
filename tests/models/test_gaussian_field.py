"""The harmonic function and its risks against the definition, walk by walk and refit by refit."""

from itertools import product
from math import exp

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from al_runner.models.gaussian_field import Field, harmonic

SCALE = 0.3
RNG = torch.Generator().manual_seed(0)
X = torch.randint(256, (30, 1, 3, 4), generator=RNG, dtype=torch.uint8)


def labels(classes: int) -> Tensor:
    return torch.arange(30) % classes


def walk() -> Tensor:
    """Chances of every step in the whole graph, entry by entry; one step in 1e9 ends the walk."""
    weights = torch.zeros(30, 30, dtype=torch.float64)
    for i, j in product(range(30), repeat=2):
        squared = sum(((int(a) - int(b)) / 255) ** 2 for a, b in zip(X[i].flatten(), X[j].flatten(), strict=True))
        weights[i, j] = exp(-squared / 12 / SCALE**2)
    weights -= weights.diag().diag()
    return (1 - 1e-9) * weights / weights.sum(1, keepdim=True)


def refit(known: list[int], y: Tensor, unknown: list[int]) -> Tensor:
    """f_u = (I - P_uu)^-1 (P_ul f_l + 1e-9 / C), which is -D_uu^-1 D_ul f_l of the Laplacian D with scaled rows."""
    whole, f = walk(), one_hot(y).double()
    among = torch.eye(len(unknown), dtype=torch.float64) - whole[unknown][:, unknown]
    return torch.linalg.solve(among, whole[unknown][:, known] @ f[known] + 1e-9 / f.shape[1])


KNOWN, UNKNOWN = list(range(6)), list(range(6, 30))


@pytest.mark.parametrize("classes", [2, 3])
def test_the_harmonic_function_is_the_laplacian_s(classes: int) -> None:
    y = labels(classes)
    expected = refit(KNOWN, y, UNKNOWN)
    assert torch.allclose(expected.sum(1), torch.ones(24).double(), atol=1e-12)
    assert torch.allclose(harmonic(X[KNOWN], one_hot(y)[KNOWN].double(), X[UNKNOWN], SCALE), expected, atol=1e-12)
    assert torch.allclose(Field.of(X[KNOWN], y[KNOWN], X[UNKNOWN], SCALE).f, expected, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_update_for_a_label_equals_a_refit(classes: int) -> None:
    y = labels(classes)
    field = Field.of(X[KNOWN], y[KNOWN], X[UNKNOWN], SCALE)
    known, unknown = list(KNOWN), list(UNKNOWN)
    for k in (5, 0, 17, 3):  # one after the other, each in the field that is left
        id_ = unknown.pop(k)
        known.append(id_)
        field = field.labelled_as(k, int(y[id_]))
        assert torch.allclose(field.f, refit(known, y, unknown), atol=1e-11)
        anew = Field.of(X[known], y[known], X[unknown], SCALE)
        assert torch.allclose(field.visits, anew.visits, atol=1e-11)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("entries", [2**22, 100])
def test_expected_risks_are_those_of_refits(classes: int, entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("al_runner.models.gaussian_field.ENTRIES", entries)
    y = labels(classes)
    field = Field.of(X[KNOWN], y[KNOWN], X[UNKNOWN], SCALE)
    expected = []
    for k, id_ in enumerate(UNKNOWN):
        others = [other for other in UNKNOWN if other != id_]
        risk = 0.0
        for label in range(classes):
            assumed = y.clone()
            assumed[id_] = label
            f = refit([*KNOWN, id_], assumed, others)
            risk += float(field.f[k, label]) * float((1 - f.amax(1)).sum())
        expected.append(risk)
    assert torch.allclose(field.expected_risks(), torch.tensor(expected, dtype=torch.float64), atol=1e-11)


def test_two_classes_have_the_risk_of_the_paper() -> None:
    """R(f) = sum_u min(f_u, 1 - f_u), where f is the probability of one class."""
    field = Field.of(X[KNOWN], labels(2)[KNOWN], X[UNKNOWN], SCALE)
    f, g = field.f[:, 1], field.visits / field.visits.diagonal()
    for k, risk in enumerate(field.expected_risks()):
        after = [f + (y - f[k]) * g[:, k] for y in (0, 1)]
        risks = [float(torch.minimum(p, 1 - p).sum()) for p in after]
        assert float(risk) == pytest.approx((1 - float(f[k])) * risks[0] + float(f[k]) * risks[1], rel=1e-12)


def test_the_last_image_leaves_no_risk() -> None:
    field = Field.of(X[:29], labels(2)[:29], X[29:], SCALE)
    assert field.expected_risks().tolist() == pytest.approx([0.0], abs=1e-12)
    assert field.labelled_as(0, 1).f.shape == (0, 2)


def test_images_that_no_label_reaches_have_even_chances() -> None:
    """Three images are near the label; three are so far away that all their weights to the others round to 0."""
    images = torch.cat([torch.zeros(4, 1, 3, 4), torch.full((3, 1, 3, 4), 255)]).to(torch.uint8)
    images[:4, 0, 0, 0] += torch.arange(4, dtype=torch.uint8)
    images[4:, 0, 0, 0] -= torch.arange(3, dtype=torch.uint8)
    f = harmonic(images[:1], torch.tensor([[1.0, 0.0]]).double(), images[1:], 0.01)
    assert torch.allclose(f, torch.tensor([[1.0, 0.0]] * 3 + [[0.5, 0.5]] * 3).double(), atol=1e-6)
