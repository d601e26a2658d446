"""KFAC-VFE against an implementation that recomputes everything for every candidate, and its options one by one."""

from math import log

import pytest
import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.fisher import Factors, Traces, capture, damped_inverse, mean_factors
from al_runner.learners.plain import SingleNet
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.free_energy import Energy, greedy, mean_random_z, mean_z
from al_runner.strategies.kfac_vfe import KfacVfe


def single(net: nn.Module, image: Tensor, label: Tensor | None = None) -> dict[str, Factors]:
    """An example's own factors, matrices and all."""
    return {
        name: Factors(s.inputs[0].T @ s.inputs[0], s.gradients[0].T @ s.gradients[0] / s.gradients.shape[1])
        for name, s in capture(net, image[None], None if label is None else label[None]).items()
    }


def single_expected(net: nn.Module, image: Tensor) -> dict[str, Factors]:
    """An example's factors, the second one as its expectation over the prediction."""
    shares = net(image[None]).softmax(1)[0].detach()
    each = [single(net, image, torch.tensor(label)) for label in range(len(shares))]
    return {
        name: Factors(factors.psi, sum(share * own[name].tau for share, own in zip(shares, each, strict=True)))  # type: ignore[arg-type]
        for name, factors in each[0].items()
    }


def mean_of(parts: list[dict[str, Factors]]) -> dict[str, Factors]:
    return {
        name: Factors(*(torch.stack([part[name][i] for part in parts]).mean(0) for i in (0, 1))) for name in parts[0]
    }


def naive(net: nn.Module, pool: Pool, n: int, strategy: KfacVfe) -> list[int]:
    """Algorithm 1 from matrices, every sum formed anew for every candidate of every step (gamma = 0 or Zref given)."""
    if strategy.labels == "expected":
        own = {int(i): single_expected(net, pool.x(i)) for i in torch.cat([pool.unlabelled, pool.labelled])}
    else:
        own = {int(i): single(net, pool.x(i)) for i in pool.unlabelled}
        own |= {int(i): single(net, pool.x(i), pool.y(i)) for i in pool.labelled}
    total_factors = mean_of([own[int(i)] for i in pool.unlabelled])
    labelled = mean_of([own[int(i)] for i in pool.labelled])
    rng = stream(0, "query")

    def inverted(matrix: Tensor) -> Tensor:
        if strategy.nystrom_rank is None or len(matrix) <= strategy.nystrom_rank:
            return damped_inverse(matrix, strategy.damping)
        columns = torch.randperm(len(matrix), generator=rng)[: strategy.nystrom_rank]
        sampled = matrix[:, columns]
        lam = strategy.damping * matrix.diagonal().mean() * torch.eye(len(matrix), dtype=matrix.dtype)
        return torch.linalg.inv(sampled @ torch.linalg.pinv(sampled[columns], hermitian=True) @ sampled.T + lam)

    inverse = {k: [inverted(m) for m in f] for k, f in total_factors.items()}
    middle = {k: [inverted(m) if strategy.invert_labelled else m for m in f] for k, f in labelled.items()}
    before = pool.labelled.tolist() if strategy.start == "labelled" else []

    def z(ids: list[int], squared: bool) -> float:
        total = 0.0
        for layer in inverse:
            sums = []
            for side in (0, 1):
                matrices = [own[i][layer][side] for i in ids]
                if squared:
                    sums.append(sum((m @ middle[layer][side] @ m).trace() for m in matrices))
                else:
                    sums.append(sum((m @ inverse[layer][side]).trace() for m in matrices))
            total += float(sums[0] * sums[1])
        return total / len(ids) ** 2

    parameters = sum(p.numel() for p in net.parameters())
    if strategy.size == "effective":
        parameters = sum(
            float((f.psi @ i[0]).trace() * (f.tau @ i[1]).trace())
            for f, i in ((total_factors[layer], inverse[layer]) for layer in inverse)
        )
    candidates = pool.candidates.tolist()
    reference = 0.0
    if strategy.gamma:
        sets = [torch.randperm(len(candidates), generator=rng)[:n] for _ in range(100)]
        reference = sum(z([candidates[int(p)] for p in positions], True) for positions in sets) / 100
    chosen: list[int] = []
    for _ in range(n):
        energies = {}
        for i in candidates:
            if i not in chosen:
                z1 = z([*before, *chosen, i], False)
                energies[i] = strategy.generalisation * (log(z1 / parameters) + parameters / z1)
                if strategy.gamma:
                    energies[i] += strategy.gamma * reference / z([*chosen, i], True)
        best = min if strategy.direction == "minimise" else max
        chosen.append(best(energies, key=energies.__getitem__))
    return chosen


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"direction": "maximise"},
        {"damping": 0.01},
        {"size": "effective"},
        {"gamma": 1.0},
        {"gamma": 1.0, "invert_labelled": True},
        {"gamma": 10.0, "direction": "maximise", "invert_labelled": True, "size": "effective"},
        {"labels": "expected"},
        {"start": "labelled"},
        {"generalisation": 0.0, "gamma": 1.0},
        {"labels": "expected", "start": "labelled", "gamma": 1.0, "generalisation": 0.5},
        {"nystrom_rank": 2},
        {"nystrom_rank": 3, "gamma": 10.0, "invert_labelled": True, "size": "effective"},
    ],
    ids=str,
)
def test_selection_equals_a_greedy_that_recomputes_everything(net: nn.Module, pool: Pool, options: dict) -> None:
    strategy = KfacVfe(**options)
    ours = strategy.select(SingleNet(net, 0), pool, 6, stream(0, "query"))
    assert ours.tolist() == naive(net, pool, 6, strategy)


class Residual(nn.Module):
    """A grouped convolution, BatchNorm with statistics of its own, and an identity added in place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.branch, self.head = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.Linear(16, 3)
        self.norm.running_mean.uniform_(-1, 1)  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.relu(self.norm(self.stem(x)), inplace=True)
        out = self.branch(x)
        out += x
        return self.head(out.flatten(1))  # type: ignore[no-any-return]


@pytest.mark.parametrize("options", [{}, {"gamma": 1.0, "invert_labelled": True, "size": "effective"}], ids=str)
def test_selection_for_a_residual_net_equals_the_same_greedy(pool: Pool, options: dict) -> None:
    torch.manual_seed(3)
    net, strategy = Residual().double().eval(), KfacVfe(**options)
    ours = strategy.select(SingleNet(net, 0), pool, 6, stream(0, "query"))
    assert ours.tolist() == naive(net, pool, 6, strategy)


def test_every_option_changes_some_selection(net: nn.Module, pool: Pool) -> None:
    """Otherwise the comparison above could not tell the options apart."""

    def picks(**options: object) -> list[int]:
        return KfacVfe(**options).select(SingleNet(net, 0), pool, 6, stream(0, "query")).tolist()  # type: ignore[arg-type]

    plain = picks()
    assert picks(direction="maximise") != plain
    assert picks(size="effective") != plain
    assert picks(gamma=10.0) != plain
    assert picks(gamma=10.0, invert_labelled=True) != picks(gamma=10.0)
    assert picks(gamma=10.0, generalisation=0.0) != picks(gamma=10.0)
    assert picks(labels="expected") != plain
    assert picks(start="labelled") != plain
    assert picks(nystrom_rank=2) != plain
    assert picks(nystrom_rank=10) == plain  # the largest factor is 10 x 10, of the convolution


def test_n_is_the_number_of_parameters(net: nn.Module, pool: Pool) -> None:
    from al_runner.fisher import parameter_count

    factors = mean_factors(net, [(pool.x(pool.unlabelled), None)])
    assert parameter_count(factors) == sum(p.numel() for p in net.parameters())


def test_the_free_energy_is_least_at_n() -> None:
    """ln t + N / t has its one minimum at t = N: a query as informative as the pool itself."""
    z = torch.linspace(10, 1000, 991, dtype=torch.float64)
    energy = Energy(100.0)(z, None)
    assert z[energy.argmin()].item() == 100.0
    assert energy.min().item() == pytest.approx(1.0)


def traces(rows: int, columns: int, seed: int) -> Traces:
    torch.manual_seed(seed)
    return Traces(*(torch.rand(rows, columns, dtype=torch.float64) for _ in range(2)))


def test_greedy_finds_the_best_single_candidate_and_never_one_twice() -> None:
    general = traces(9, 3, 0)
    energy = Energy(5.0)((general.psi * general.tau).sum(1), None)
    assert greedy(general, None, 1, Energy(5.0)).item() == energy.argmin().item()
    assert greedy(general, None, 1, Energy(5.0, minimise=False)).item() == energy.argmax().item()
    assert sorted(greedy(general, None, 9, Energy(5.0)).tolist()) == list(range(9))


@pytest.mark.parametrize("minimise", [True, False])
def test_images_without_any_gradient_are_chosen_last_or_first_but_never_twice(minimise: bool) -> None:
    general = Traces(torch.zeros(4, 2, dtype=torch.float64), torch.zeros(4, 2, dtype=torch.float64))
    general.psi[2], general.tau[2] = 1.0, 1.0
    order = greedy(general, general, 4, Energy(5.0, 1.0, minimise=minimise)).tolist()
    assert sorted(order) == [0, 1, 2, 3]
    assert order[0 if minimise else -1] == 2


def test_z_of_a_set_is_the_sum_over_layers_of_products_of_means() -> None:
    t = traces(5, 2, 1)
    chosen = torch.tensor([0, 3])
    expected = sum(
        (t.psi[0, layer] + t.psi[3, layer]) / 2 * (t.tau[0, layer] + t.tau[3, layer]) / 2 for layer in range(2)
    )
    assert mean_z(t, chosen).item() == pytest.approx(float(expected))
    assert mean_random_z(t, 5, stream(0, "any")) == pytest.approx(mean_z(t, torch.arange(5)).item())


def test_a_sample_of_the_pool_is_seeded_and_the_whole_pool_by_size(net: nn.Module, pool: Pool) -> None:
    def picks(sample: int | None, seed: int) -> list[int]:
        return KfacVfe(pool_sample=sample).select(SingleNet(net, 0), pool, 6, stream(seed, "query")).tolist()

    assert picks(5, 0) == picks(5, 0)
    assert len({tuple(picks(5, seed)) for seed in range(6)}) > 1
    assert picks(36, 0) == picks(None, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "up"}, "minimise, maximise"),
        ({"size": "n"}, "parameters, effective"),
        ({"gamma": -1.0}, "strategy.gamma"),
        ({"gamma": float("nan")}, "strategy.gamma"),
        ({"damping": 0.0}, "strategy.damping"),
        ({"pool_sample": 0}, "strategy.pool_sample"),
        ({"nystrom_rank": 0}, "strategy.nystrom_rank"),
    ],
)
def test_a_wrong_option_names_what_is_right(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        KfacVfe(**options)


def prelu_net() -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.PReLU(), nn.Linear(4, 3)).double().eval()


def test_an_untreated_layer_is_refused_before_training_or_left_out_when_asked(pool: Pool) -> None:
    net = prelu_net()
    with pytest.raises(UsageError, match="'2' is PReLU"):
        KfacVfe().check(net, pool.x(pool.candidates[:2]))
    strategy = KfacVfe(skip_untreated=True, gamma=1.0)
    strategy.check(net, pool.x(pool.candidates[:2]))
    relu = nn.Sequential(net[0], net[1], nn.LeakyReLU(0.25), net[3]).eval()  # a PReLU's initial slope
    picks = [s.select(SingleNet(n, 0), pool, 6, stream(0, "query")) for s, n in ((strategy, net), (strategy, relu))]
    assert picks[0].tolist() == picks[1].tolist()


def test_tensors_alone_will_do(net: nn.Module, pool: Pool) -> None:
    """The choice from tensors is the choice through the runner."""
    strategy = KfacVfe(gamma=1.0, pool_sample=20)
    through_runner = strategy.select(SingleNet(net, 0), pool, 6, stream(0, "query"))
    positions = strategy.choose(
        net,
        pool.x(pool.unlabelled),
        6,
        pool.x(pool.candidates),
        [(pool.x(pool.labelled), pool.y(pool.labelled))],
        stream(0, "query"),
    )
    assert pool.candidates[positions].tolist() == through_runner.tolist()
    known = mean_factors(net, [(pool.x(pool.unlabelled), None)])
    candidates = pool.x(pool.candidates)
    expected = KfacVfe().choose(net, pool.x(pool.unlabelled), 6, candidates).tolist()
    assert KfacVfe().choose(net, candidates, 6, factors=known).tolist() == expected
    assert KfacVfe().choose(net, candidates, 6).tolist() != expected
    everything = KfacVfe().choose(net, pool.x(pool.unlabelled), 3)
    assert everything.tolist() == KfacVfe().choose(net, pool.x(pool.unlabelled), 3, pool.x(pool.unlabelled)).tolist()


@pytest.mark.parametrize(("n", "gamma", "message"), [(0, 0.0, "0 of 36"), (37, 0.0, "37 of 36"), (1, 1.0, "labelled")])
def test_what_cannot_be_chosen_is_refused(net: nn.Module, pool: Pool, n: int, gamma: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        KfacVfe(gamma=gamma).choose(net, pool.x(pool.unlabelled), n)


def test_a_training_factor_of_no_images_is_refused(net: nn.Module, pool: Pool) -> None:
    with pytest.raises(UsageError, match="empty set"):
        KfacVfe(gamma=1.0).choose(net, pool.x(pool.unlabelled), 2, labelled=[])


@pytest.mark.parametrize("scored", [1, 4, 9])
def test_scoring_candidates_in_parts_makes_no_difference(scored: int, monkeypatch: pytest.MonkeyPatch) -> None:
    general, training = traces(9, 3, 0), traces(9, 3, 1)
    general.psi[5], general.tau[5] = general.psi[2], general.tau[2]  # a tie, which falls to the earlier
    training.psi[5], training.tau[5] = training.psi[2], training.tau[2]
    expected = greedy(general, training, 9, Energy(5.0, 0.1)).tolist()
    monkeypatch.setattr("al_runner.strategies.free_energy.SCORED", scored)
    assert greedy(general, training, 9, Energy(5.0, 0.1)).tolist() == expected
    assert expected.index(2) < expected.index(5)


class Reader:
    """Images that are made when they are asked for, as from a file; notes what was asked."""

    def __init__(self, images: Tensor) -> None:
        self.images, self.read = images, []  # type: ignore[var-annotated]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice | Tensor, /) -> Tensor:
        self.read.append(torch.arange(len(self.images))[rows])
        return self.images[rows].clone()


@pytest.mark.parametrize("sample", [None, 290])
def test_a_pool_is_read_once_and_never_more_than_a_few_images_at_a_time(net: nn.Module, sample: int | None) -> None:
    images = torch.randn(300, 1, 4, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    unlabelled, candidates = Reader(images), Reader(images[:200])
    strategy = KfacVfe(pool_sample=sample)
    chosen = strategy.choose(net, unlabelled, 5, candidates)
    assert chosen.tolist() == strategy.choose(net, images, 5, images[:200]).tolist()
    for reader, count in ((unlabelled, sample or 300), (candidates, 200)):
        assert max(len(rows) for rows in reader.read) <= 128
        assert len(torch.cat(reader.read)) == len(torch.cat(reader.read).unique()) == count
