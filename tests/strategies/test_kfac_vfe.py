"""KFAC-VFE against an implementation that recomputes everything for every candidate, and its options one by one."""

from itertools import combinations
from math import log

import pytest
import torch
from single_factors import single, single_expected
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.fisher import Factors, Traces, damped_inverse, mean_factors, product_traces
from al_runner.learners.plain import SingleNet
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.free_energy import FreeEnergy, greedy, mean_random_z, mean_z
from al_runner.strategies.kfac_vfe import KfacVfe
from al_runner.strategies.target import multiple, sizes

FIVE = torch.tensor([2.0, 3.0, 0.0], dtype=torch.float64)  # targets of three blocks, 5 in all


def mean_of(parts: list[dict[str, Factors]]) -> dict[str, Factors]:
    return {
        name: Factors(*(torch.stack([part[name][i] for part in parts]).mean(0) for i in (0, 1))) for name in parts[0]
    }


def naive(net: nn.Module, pool: Pool, n: int, strategy: KfacVfe) -> list[int]:
    """Algorithm 1 from matrices; each sum is computed again for every candidate and step (gamma = 0, or Zref given)."""
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

    def z(ids: list[int], squared: bool = False) -> dict[str, float]:
        parts = {}
        for layer in inverse:
            sums = []
            for side in (0, 1):
                matrices = [own[i][layer][side] for i in ids]
                if squared:
                    sums.append(sum((m @ middle[layer][side] @ m).trace() for m in matrices))
                else:
                    sums.append(sum((m @ inverse[layer][side]).trace() for m in matrices))
            parts[layer] = float(sums[0] * sums[1]) / len(ids) ** 2
        return parts

    own_z1 = {
        layer: float((f.psi @ inverse[layer][0]).trace() * (f.tau @ inverse[layer][1]).trace())
        for layer, f in total_factors.items()
    }
    c = {"growing": (4 + n) / n, "labels/3.5": 4 / 3.5, "labels/40": 1.0}.get(str(strategy.target), strategy.target)
    sizes = {layer: f.psi.shape[0] * f.tau.shape[0] for layer, f in total_factors.items()}
    targets = sizes if c == "parameters" else {layer: float(c) * z for layer, z in own_z1.items()}

    def apart(ids: list[int]) -> float:
        z1 = z(ids)
        if strategy.energy == "blocks":
            each = [targets[layer] * (log(z1[layer] / targets[layer]) + targets[layer] / z1[layer]) for layer in z1]
            return sum(each) / sum(targets.values())
        total, target = sum(z1.values()), sum(targets.values())
        return log(total / target) + target / total

    candidates = pool.candidates.tolist()
    reference = 0.0
    if strategy.gamma:
        sets = [torch.randperm(len(candidates), generator=rng)[:n] for _ in range(100)]
        reference = sum(sum(z([candidates[int(p)] for p in positions], True).values()) for positions in sets) / 100
    chosen: list[int] = []
    for _ in range(n):
        energies = {}
        for i in candidates:
            if i not in chosen:
                energies[i] = strategy.generalisation * apart([*before, *chosen, i])
                if strategy.gamma:
                    energies[i] += strategy.gamma * reference / sum(z([*chosen, i], True).values())
        best = min if strategy.direction == "minimise" else max
        chosen.append(best(energies, key=energies.__getitem__))
    return chosen


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"direction": "maximise"},
        {"damping": 0.01},
        {"target": 1},
        {"target": 1.3},
        {"target": "growing", "damping": 0.001},
        {"target": "labels/3.5"},
        {"target": "labels/40"},
        {"energy": "blocks"},
        {"energy": "blocks", "target": "labels/3.5"},
        {"energy": "blocks", "target": 1, "gamma": 1.0, "generalisation": 0.5, "direction": "maximise"},
        {"energy": "blocks", "target": 1, "start": "labelled"},
        {"gamma": 1.0},
        {"gamma": 1.0, "invert_labelled": True},
        {"gamma": 10.0, "direction": "maximise", "invert_labelled": True, "target": 1},
        {"labels": "expected"},
        {"start": "labelled"},
        {"generalisation": 0.0, "gamma": 1.0},
        {"labels": "expected", "start": "labelled", "gamma": 1.0, "generalisation": 0.5},
        {"nystrom_rank": 2},
        {"nystrom_rank": 3, "gamma": 10.0, "invert_labelled": True, "target": 1},
    ],
    ids=str,
)
def test_selection_equals_a_greedy_that_recomputes_everything(net: nn.Module, pool: Pool, options: dict) -> None:
    strategy = KfacVfe(**{"target": "parameters"} | options)
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


@pytest.mark.parametrize("options", [{}, {"gamma": 1.0, "invert_labelled": True, "target": 1}], ids=str)
def test_selection_for_a_residual_net_equals_the_same_greedy(pool: Pool, options: dict) -> None:
    torch.manual_seed(3)
    net, strategy = Residual().double().eval(), KfacVfe(**{"target": "parameters"} | options)
    ours = strategy.select(SingleNet(net, 0), pool, 6, stream(0, "query"))
    assert ours.tolist() == naive(net, pool, 6, strategy)


def test_every_option_changes_some_selection(net: nn.Module, pool: Pool) -> None:
    """Otherwise the comparison above could not tell the options apart."""

    def picks(**options: object) -> list[int]:
        return (
            KfacVfe(**{"target": "parameters"} | options)
            .select(SingleNet(net, 0), pool, 6, stream(0, "query"))
            .tolist()
        )  # type: ignore[arg-type]

    plain = picks()
    assert picks(direction="maximise") != plain
    assert len({tuple(picks(target=target)) for target in ("parameters", 1, 1.3, "labels/3.5")}) == 4
    assert picks(target="growing", damping=0.001) != picks(damping=0.001)
    assert picks(target="labels/40") == picks(target=1)  # of 4 labels
    assert all(picks(target=target, energy="blocks") != picks(target=target) for target in ("parameters", 1))
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
    energy = FreeEnergy(torch.tensor([60.0, 40.0]).double())(z, None)
    assert z[energy.argmin()].item() == 100.0
    assert energy.min().item() == pytest.approx(1.0)


def traces(rows: int, columns: int, seed: int) -> Traces:
    torch.manual_seed(seed)
    return Traces(*(torch.rand(rows, columns, dtype=torch.float64) for _ in range(2)))


def test_the_energies_of_all_pairs_are_the_formulas_written_out_and_so_is_the_least() -> None:
    t, targets = traces(7, 3, 2), torch.tensor([0.4, 0.1, 0.2], dtype=torch.float64)
    pairs = list(combinations(range(7), 2))
    z = [[float(t.psi[[a, b], k].mean() * t.tau[[a, b], k].mean()) for k in range(3)] for a, b in pairs]
    total = [log(sum(row) / 0.7) + 0.7 / sum(row) for row in z]
    blocks = [sum(float(T) * (log(x / T) + T / x) for x, T in zip(row, targets, strict=True)) / 0.7 for row in z]
    ours = FreeEnergy(targets, 0.1)(mean_z(t, torch.tensor(pairs)), torch.tensor(2.0).double())
    torch.testing.assert_close(ours, torch.tensor(total).double() + 0.1 / 2)
    ours = FreeEnergy(targets, by_block=True)(torch.tensor(z).double(), None)
    torch.testing.assert_close(ours, torch.tensor(blocks).double())
    assert (
        ours.argmin() == min(range(len(pairs)), key=blocks.__getitem__) != min(range(len(pairs)), key=total.__getitem__)
    )


def test_by_block_every_block_has_its_own_minimum_and_one_without_a_target_adds_nothing() -> None:
    energy = FreeEnergy(FIVE, by_block=True)
    assert energy(torch.tensor([2.0, 3.0, 0.0]).double(), None).item() == pytest.approx(1.0)
    assert energy(torch.tensor([2.0, 3.0, 7.0]).double(), None).item() == pytest.approx(1.0)
    assert energy(torch.tensor([3.0, 2.0, 0.0]).double(), None).item() > 1.001  # of the same sum


@pytest.mark.parametrize(
    ("target", "labelled", "query", "c"),
    [
        ("growing", 10, 40, 1.25),
        ("growing", 90, 40, 3.25),
        ("growing", 90, 8, 12.25),
        ("growing", 0, 8, 1.0),
        ("labels/40", 39, 40, 1.0),
        ("labels/40", 100, 40, 2.5),
        ("labels/2.5", 10, 40, 4.0),
        (3, 100, 40, 3.0),
        ("parameters", 100, 40, None),
    ],
)
def test_the_target_of_a_round(target: float | str, labelled: int, query: int, c: float | None) -> None:
    assert multiple(target, labelled, query) == c


def test_a_growing_target_counts_the_labelled_images(net: nn.Module, pool: Pool) -> None:
    """With 4 labelled images and a query of 12, c is 16 / 12; with 6 labelled images it is 18 / 12."""

    def picks(target: float | str) -> list[int]:
        return KfacVfe(target=target, damping=0.001).select(SingleNet(net, 0), pool, 12, stream(0, "query")).tolist()

    assert picks("growing") == picks(16 / 12) != picks(18 / 12)
    pool.buy(pool.candidates[:2], torch.tensor([0, 1]))
    pool.draw_candidates(14, stream(1, "candidates"))
    assert picks("growing") == picks(18 / 12) != picks(16 / 12)
    with pytest.raises(UsageError, match="a target that grows need labelled images"):
        KfacVfe(target="growing").choose(net, pool.x(pool.unlabelled), 2)


def test_a_target_of_one_is_the_pool_s_own_z1(net: nn.Module, pool: Pool) -> None:
    """A query of the whole pool has exactly that Z1, because the mean of traces is the trace of the mean."""
    images = pool.x(pool.unlabelled)
    factors = mean_factors(net, [(images, None)])
    inverses = {name: Factors(*(damped_inverse(side, 0.1) for side in pair)) for name, pair in factors.items()}
    whole = product_traces(net, [images], inverses)
    found = sizes(factors, inverses)
    own = found.targets(1.0)
    torch.testing.assert_close(own, whole.psi.double().mean(0) * whole.tau.double().mean(0))
    torch.testing.assert_close(found.targets(2.5), 2.5 * own)
    parts = [sum(p.numel() for p in layer.parameters()) for layer in net if isinstance(layer, nn.Linear | nn.Conv2d)]
    assert found.targets(None).tolist() == parts


@pytest.mark.parametrize("start", ["empty", "labelled"])
@pytest.mark.parametrize("energy", ["total", "blocks"])
def test_a_query_s_facts_are_its_z1_from_matrices_and_what_it_is_compared_with(
    net: nn.Module, pool: Pool, start: str, energy: str
) -> None:
    strategy = KfacVfe(target=1.3, energy=energy, start=start)
    choice = strategy.explained(SingleNet(net, 0), pool, 6, stream(0, "query"))
    assert choice.chosen.tolist() == strategy.select(SingleNet(net, 0), pool, 6, stream(0, "query")).tolist()
    factors = mean_factors(net, [(pool.x(pool.unlabelled), None)])
    parts = [single(net, pool.x(i)) for i in choice.chosen]
    if start == "labelled":
        parts += [single(net, pool.x(i), pool.y(i)) for i in pool.labelled]
    query = mean_of(parts)

    def z1(own: dict[str, Factors]) -> float:
        inverses = {name: [damped_inverse(side, 0.1) for side in pair] for name, pair in factors.items()}
        return sum(float((own[k].psi @ psi).trace() * (own[k].tau @ tau).trace()) for k, (psi, tau) in inverses.items())

    assert choice.facts == pytest.approx(
        {
            "z1": z1(query),
            "target": 1.3 * z1(factors),
            "pool_z1": z1(factors),
            "parameters": sum(p.numel() for p in net.parameters()),
        }
    )


def test_the_whole_pool_has_its_own_z1(net: nn.Module, pool: Pool) -> None:
    facts = KfacVfe(target="parameters").choose(net, pool.x(pool.unlabelled), len(pool.unlabelled)).facts
    assert facts["z1"] == pytest.approx(facts["pool_z1"])
    assert facts["target"] == facts["parameters"] > 2 * facts["z1"]


def test_greedy_finds_the_best_single_candidate_and_never_one_twice() -> None:
    general = traces(9, 3, 0)
    energy = FreeEnergy(FIVE)((general.psi * general.tau).sum(1), None)
    assert greedy(general, None, 1, FreeEnergy(FIVE)).item() == energy.argmin().item()
    assert greedy(general, None, 1, FreeEnergy(FIVE, minimise=False)).item() == energy.argmax().item()
    assert sorted(greedy(general, None, 9, FreeEnergy(FIVE)).tolist()) == list(range(9))


@pytest.mark.parametrize("minimise", [True, False])
def test_images_without_any_gradient_are_chosen_last_or_first_but_never_twice(minimise: bool) -> None:
    general = Traces(torch.zeros(4, 2, dtype=torch.float64), torch.zeros(4, 2, dtype=torch.float64))
    general.psi[2], general.tau[2] = 1.0, 1.0
    order = greedy(general, general, 4, FreeEnergy(FIVE, 1.0, minimise=minimise)).tolist()
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
        return (
            KfacVfe(target="parameters", pool_sample=sample)
            .select(SingleNet(net, 0), pool, 6, stream(seed, "query"))
            .tolist()
        )

    assert picks(5, 0) == picks(5, 0)
    assert len({tuple(picks(5, seed)) for seed in range(6)}) > 1
    assert picks(36, 0) == picks(None, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "up"}, "it must be minimise or maximise"),
        *(({"target": wrong}, "strategy.target") for wrong in ("n", 0, -1, float("nan"), float("inf"), True, None)),
        *(
            ({"target": wrong}, r"strategy\.target.*labels/40")
            for wrong in ("labels/0", "labels/", "labels/-3", "label/4")
        ),
        ({"target": "growing", "start": "labelled"}, "both count the labelled"),
        ({"energy": "layers"}, "it must be total or blocks"),
        ({"gamma": -1.0}, "strategy.gamma"),
        ({"gamma": float("nan")}, "strategy.gamma"),
        ({"damping": 0.0}, "strategy.damping"),
        ({"pool_sample": 0}, "strategy.pool_sample"),
        ({"nystrom_rank": 0}, "strategy.nystrom_rank"),
    ],
)
def test_a_wrong_option_names_what_is_right(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        KfacVfe(**{"target": "parameters"} | options)


def prelu_net() -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.PReLU(), nn.Linear(4, 3)).double().eval()


def test_an_untreated_layer_is_refused_before_training_or_left_out_when_asked(pool: Pool) -> None:
    net = prelu_net()
    with pytest.raises(UsageError, match="'2' is PReLU"):
        KfacVfe(target="parameters").check(net, pool.x(pool.candidates[:2]))
    strategy = KfacVfe(target="parameters", skip_untreated=True, gamma=1.0)
    strategy.check(net, pool.x(pool.candidates[:2]))
    relu = nn.Sequential(net[0], net[1], nn.LeakyReLU(0.25), net[3]).eval()  # a PReLU's initial slope
    picks = [s.select(SingleNet(n, 0), pool, 6, stream(0, "query")) for s, n in ((strategy, net), (strategy, relu))]
    assert picks[0].tolist() == picks[1].tolist()


def test_tensors_are_enough(net: nn.Module, pool: Pool) -> None:
    """The choice from tensors is the choice through the runner."""
    strategy = KfacVfe(target="parameters", gamma=1.0, pool_sample=20)
    through_runner = strategy.select(SingleNet(net, 0), pool, 6, stream(0, "query"))
    choice = strategy.choose(
        net,
        pool.x(pool.unlabelled),
        6,
        pool.x(pool.candidates),
        [(pool.x(pool.labelled), pool.y(pool.labelled))],
        stream(0, "query"),
    )
    assert pool.candidates[choice.chosen].tolist() == through_runner.tolist()
    known = mean_factors(net, [(pool.x(pool.unlabelled), None)])
    candidates = pool.x(pool.candidates)
    expected = KfacVfe(target="parameters").choose(net, pool.x(pool.unlabelled), 6, candidates).chosen.tolist()
    assert KfacVfe(target="parameters").choose(net, candidates, 6, factors=known).chosen.tolist() == expected
    assert KfacVfe(target="parameters").choose(net, candidates, 6).chosen.tolist() != expected
    unlabelled = pool.x(pool.unlabelled)
    everything = KfacVfe(target="parameters").choose(net, unlabelled, 3).chosen
    assert everything.tolist() == KfacVfe(target="parameters").choose(net, unlabelled, 3, unlabelled).chosen.tolist()


@pytest.mark.parametrize(
    ("n", "gamma", "message"),
    [(0, 0.0, "0 of 36 .* ask for 1 to 36"), (37, 0.0, "37 of 36 .* 1 to 36"), (1, 1.0, "labelled")],
)
def test_what_cannot_be_chosen_is_refused(net: nn.Module, pool: Pool, n: int, gamma: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        KfacVfe(target="parameters", gamma=gamma).choose(net, pool.x(pool.unlabelled), n)


def test_a_training_factor_of_no_images_is_refused(net: nn.Module, pool: Pool) -> None:
    with pytest.raises(UsageError, match="empty set"):
        KfacVfe(target="parameters", gamma=1.0).choose(net, pool.x(pool.unlabelled), 2, labelled=[])


@pytest.mark.parametrize("scored", [1, 4, 9])
def test_scoring_candidates_in_parts_makes_no_difference(scored: int, monkeypatch: pytest.MonkeyPatch) -> None:
    general, training = traces(9, 3, 0), traces(9, 3, 1)
    general.psi[5], general.tau[5] = general.psi[2], general.tau[2]  # a tie, which falls to the earlier
    training.psi[5], training.tau[5] = training.psi[2], training.tau[2]
    expected = greedy(general, training, 9, FreeEnergy(FIVE, 0.1)).tolist()
    monkeypatch.setattr("al_runner.strategies.free_energy.SCORED", scored)
    assert greedy(general, training, 9, FreeEnergy(FIVE, 0.1)).tolist() == expected
    assert expected.index(2) < expected.index(5)


class Reader:
    """Images that are created when they are read, as from a file; records what was read."""

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
    strategy = KfacVfe(target="parameters", pool_sample=sample)
    chosen = strategy.choose(net, unlabelled, 5, candidates).chosen
    assert chosen.tolist() == strategy.choose(net, images, 5, images[:200]).chosen.tolist()
    for reader, count in ((unlabelled, sample or 300), (candidates, 200)):
        first, *parts = reader.read  # the size of the first image says how many are read at once
        assert first.tolist() == [0]
        assert max(len(rows) for rows in parts) <= 128
        assert len(torch.cat(parts)) == len(torch.cat(parts).unique()) == count
