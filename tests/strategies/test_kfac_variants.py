"""The variants of KFAC-VFE against matrices formed whole on tiny nets."""

import pytest
import torch
from single_factors import single, single_expected
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from al_runner.errors import UsageError
from al_runner.fisher import Factors, mean_factors, spectra
from al_runner.learners.plain import SingleNet
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.kfac_code2016 import KfacCode2016
from al_runner.strategies.kfac_spectral import KfacSpectral, eigenbasis


def test_expected_factors_are_those_of_the_fisher_matrix_itself(net: nn.Module, pool: Pool) -> None:
    """One image, last layer: psi (x) tau is the mean of grad ln p(y|x) grad ln p(y|x)', class by class."""
    x = pool.x(pool.candidates[:1])
    (psi, tau) = mean_factors(net, [(x, None)], expected=True)["5"]
    weights = dict(net.named_parameters())
    probabilities = net(x).softmax(1)[0].detach()

    def loss(parameters: dict[str, Tensor], label: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(net, parameters, (x,)), label[None])

    grads = vmap(grad(loss), (None, 0))(weights, torch.arange(3))
    rows = torch.cat([grads["5.weight"], grads["5.bias"][:, :, None]], 2).flatten(1)  # [Y, o * i]
    fisher = torch.einsum("y,ya,yb->ab", probabilities, rows, rows)
    torch.testing.assert_close(torch.kron(tau, psi), fisher)


def whole(strategy: KfacSpectral, net: nn.Module, pool: Pool, ids: list[int]) -> float:
    """The objective of a set by determinants and inverses of whole Kronecker products, diagonal in the pool's basis."""
    one = single_expected if strategy.labels == "expected" else single
    own = {int(i): one(net, pool.x(i)) for i in pool.unlabelled}
    if strategy.labels == "expected":
        own |= {int(i): single_expected(net, pool.x(i)) for i in pool.labelled}
    else:
        own |= {int(i): single(net, pool.x(i), pool.y(i)) for i in pool.labelled}
    chosen = [*(pool.labelled.tolist() if strategy.start == "labelled" else []), *ids]
    value = 0.0
    for layer in next(iter(own.values())):
        sides = []
        for side in (0, 1):
            mean = torch.stack([own[int(i)][layer][side] for i in pool.unlabelled]).mean(0)
            vectors = torch.linalg.eigh(mean)[1]
            lam = strategy.damping * mean.trace() / len(mean) * torch.eye(len(mean), dtype=mean.dtype)
            query = torch.stack([own[i][layer][side] for i in chosen]).mean(0)
            diagonal = (vectors.T @ query @ vectors).diag().diag()
            sides.append((diagonal + lam, (vectors.T @ mean @ vectors) + lam))
        (psi_s, psi_u), (tau_s, tau_u) = sides
        query, all_ = torch.kron(tau_s, psi_s), torch.kron(tau_u, psi_u)
        value += float((torch.linalg.inv(query) @ all_).trace())
        if strategy.objective == "divergence":
            value += float(query.logdet() - all_.logdet())
    return value


@pytest.mark.parametrize("objective", ["divergence", "trace"])
@pytest.mark.parametrize("labels", ["predicted", "expected"])
@pytest.mark.parametrize("start", ["empty", "labelled"])
def test_the_spectral_choice_equals_a_greedy_on_whole_matrices(
    net: nn.Module,
    pool: Pool,
    objective: str,
    labels: str,
    start: str,
) -> None:
    strategy = KfacSpectral(objective=objective, labels=labels, start=start)
    ours = strategy.select(SingleNet(net, 0), pool, 3, stream(0, "query")).tolist()
    chosen: list[int] = []
    for _ in range(3):
        rest = [i for i in pool.candidates.tolist() if i not in chosen]
        chosen.append(min(rest, key=lambda i: whole(strategy, net, pool, [*chosen, i])))
    assert ours == chosen


def test_the_pool_s_mean_spectrum_is_its_eigenvalues(net: nn.Module, pool: Pool) -> None:
    x = pool.x(pool.unlabelled)
    bases = {name: eigenbasis(pair, 0.1) for name, pair in mean_factors(net, [(x, None)]).items()}
    each = spectra(net, x.split(7), {name: basis.vectors for name, basis in bases.items()})
    for name, basis in bases.items():
        for side, values in zip(each[name], basis.values, strict=True):
            torch.testing.assert_close(side.mean(0), values)


def test_the_divergence_depends_on_a_batch_s_redundancy(net: nn.Module, pool: Pool) -> None:
    """Once an image is in, a copy of it is worth less than another image as good, to the divergence but not to Z1."""
    strategy = KfacSpectral(damping=1e-3)
    first, *others = pool.candidates.tolist()
    copies = whole(strategy, net, pool, [first] * 4)
    spread = min(whole(strategy, net, pool, [first, *others[i : i + 3]]) for i in range(5))
    assert spread < copies


@pytest.mark.parametrize("direction", ["minimise", "maximise"])
def test_the_published_code_s_rule_by_whole_matrices(net: nn.Module, pool: Pool, direction: str) -> None:
    strategy = KfacCode2016(direction=direction, pool_batches=5, damping=1e-5)
    ours = strategy.select(SingleNet(net, 0), pool, 4, stream(0, "query")).tolist()
    order = torch.randperm(len(pool.unlabelled), generator=stream(0, "query"))[:20]
    labelled = {int(i): single(net, pool.x(i), pool.y(i)) for i in pool.labelled}
    prior = [*labelled.values(), *(single(net, pool.x(i)) for i in pool.unlabelled[order])]
    inverses: dict[str, Factors] = {}
    for layer in prior[0]:
        means = [torch.stack([part[layer][side] for part in prior]).mean(0) for side in (0, 1)]
        inverses[layer] = Factors(*(torch.linalg.inv(m + 1e-5 * torch.eye(len(m), dtype=m.dtype)) for m in means))
    own = {int(i): single(net, pool.x(i)) for i in pool.candidates}

    def t(ids: list[int]) -> float:
        sets = [*labelled.values(), *(own[i] for i in ids)]
        a = 1 / len(sets)
        return sum(
            float(
                a
                * sum((one[layer].psi @ inverses[layer].psi).trace() for one in sets)
                * a
                * sum((one[layer].tau @ inverses[layer].tau).trace() for one in sets)
            )
            for layer in inverses
        )

    chosen: list[int] = []
    pick = min if direction == "minimise" else max
    for _ in range(4):
        chosen.append(pick((i for i in own if i not in chosen), key=lambda i: t([*chosen, i])))
    assert ours == chosen


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        (KfacSpectral, {"objective": "determinant"}),
        (KfacSpectral, {"labels": "true"}),
        (KfacSpectral, {"start": "full"}),
        (KfacSpectral, {"damping": 0.0}),
        (KfacSpectral, {"pool_sample": 0}),
        (KfacCode2016, {"direction": "up"}),
        (KfacCode2016, {"pool_batches": 0}),
        (KfacCode2016, {"damping": -1.0}),
    ],
)
def test_an_option_out_of_range_is_named(strategy: type, options: dict) -> None:
    with pytest.raises(UsageError, match=f"strategy.{next(iter(options))}"):
        strategy(**options)
