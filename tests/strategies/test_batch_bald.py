"""Joint information against a sum over all label vectors."""

from itertools import combinations, product
from math import e, log

import pytest
import torch
import toy
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.learners.committee import Committee
from al_runner.learners.dropout import Dropout
from al_runner.learners.ensemble import Ensemble
from al_runner.models.inputs import net_builder
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.batch_bald import BLOCK, BatchBald, Outcomes, batch_bald, greatest_gain
from al_runner.strategies.bayesian import bald


def samples(n: int, k: int = 4, classes: int = 3, seed: int = 0, scale: float = 2.0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(n, k, classes, dtype=torch.float64, generator=rng)).log_softmax(2)


def information(log_probs: Tensor) -> float:
    """I[y_1 .. y_n; k] of all images of `log_probs`, label vector by label vector."""
    n, k, classes = log_probs.shape
    p = log_probs.exp().tolist()
    joint = known = 0.0
    for labels in product(range(classes), repeat=n):
        each = [1.0] * k
        for image, label in enumerate(labels):
            each = [chance * p[image][place][label] for place, chance in enumerate(each)]
        mean = sum(each) / k
        joint -= mean * log(mean) if mean else 0.0
        known -= sum(chance * log(chance) for chance in each if chance) / k
    return joint - known


def greedy(log_probs: Tensor, n: int) -> list[int]:
    chosen: list[int] = []
    for _ in range(n):
        left = [i for i in range(len(log_probs)) if i not in chosen]
        chosen.append(max(left, key=lambda i: information(log_probs[[*chosen, i]])))
    return chosen


@pytest.mark.parametrize("seed", range(4))
def test_each_choice_adds_most_to_the_joint_information(seed: int) -> None:
    log_probs = samples(8, seed=seed)
    assert batch_bald(log_probs, 4, 10_000, stream(0, "query")).tolist() == greedy(log_probs, 4)


def test_gains_add_up_to_the_joint_information() -> None:
    log_probs = samples(5)
    outcomes, total = Outcomes.none(log_probs), 0.0
    for image in log_probs:
        total += float(outcomes.gains(image[None]))
        outcomes = outcomes.with_image(image)
    assert total == pytest.approx(information(log_probs), rel=1e-12)
    assert float(outcomes.chances.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(6))
def test_the_batch_has_at_least_1_minus_1_over_e_of_the_most(seed: int) -> None:
    log_probs = samples(7, seed=seed)
    held = information(log_probs[batch_bald(log_probs, 3, 10_000, stream(0, "query"))])
    most = max(information(log_probs[list(some)]) for some in combinations(range(7), 3))
    assert (1 - 1 / e) * most <= held <= most + 1e-12


def test_the_first_choice_is_bald_s() -> None:
    log_probs = samples(50, k=7, classes=4)
    assert batch_bald(log_probs, 1, 100, stream(0, "query")).item() == bald(log_probs).argmax().item()


def test_a_copy_of_a_chosen_image_adds_less_than_another() -> None:
    """BALD alone would choose both copies of the image with the highest score."""
    first, other = samples(2, scale=4.0)
    weaker = (0.8 * other).log_softmax(1)
    log_probs = torch.stack([first, first, weaker])
    scores = bald(log_probs)
    order = scores.argsort(descending=True, stable=True).tolist()
    assert order[:2] == [0, 1]
    assert batch_bald(log_probs, 2, 100, stream(0, "query")).tolist() == [0, 2]


def test_draws_of_label_vectors_give_the_gains_of_all_of_them() -> None:
    """Within 4.5 standard errors of the mean over 400 streams."""
    log_probs, chosen, vectors, streams = samples(10), [0, 3, 5], 200, 400
    exact = Outcomes.none(log_probs)
    for place in chosen:
        exact = exact.with_image(log_probs[place])
    wanted = exact.gains(log_probs)
    estimates = torch.stack(
        [Outcomes.drawn(log_probs[chosen], vectors, stream(i, "query")).gains(log_probs) for i in range(streams)]
    )
    error = estimates.std(0) / streams**0.5
    assert bool(((estimates.mean(0) - wanted).abs() < 4.5 * error + 1e-12).all())


def test_extended_draws_are_draws_of_the_longer_batch() -> None:
    """The same stream gives the same draws, whether the batch is known at once or grows image by image."""
    log_probs = samples(4)
    at_once = Outcomes.drawn(log_probs, 50, stream(0, "query"))
    rng = stream(0, "query")
    growing = Outcomes.drawn(log_probs[:2], 50, rng).with_label(log_probs[2], rng).with_label(log_probs[3], rng)
    torch.testing.assert_close(at_once.log_weights, growing.log_weights)


@pytest.mark.parametrize("seed", range(4))
def test_choices_by_draws_add_nearly_as_much_as_by_all_vectors(seed: int) -> None:
    """Exact for six choices, of 3^5 vectors; the next two, by 728 draws, add at least 0.9 of the most.

    A copy of a chosen image, which is there of most, adds less.
    """
    weaker = 0.85 ** torch.arange(10, dtype=torch.float64)[:, None, None]
    log_probs = (weaker * samples(10, k=8, seed=seed)).log_softmax(2)
    log_probs = torch.cat([log_probs, (0.9 * log_probs[:7]).log_softmax(2)])
    for draws in range(3):
        outcomes, chosen = Outcomes.none(log_probs), batch_bald(log_probs, 8, 3**6 - 1, stream(draws, "query")).tolist()
        for place, choice in enumerate(chosen):
            gains = outcomes.gains(log_probs)
            gains[chosen[:place]] = -1
            assert gains[choice] >= (1 - 1e-12 if place < 6 else 0.9) * gains.max()
            outcomes = outcomes.with_image(log_probs[choice])


def test_once_the_right_sample_is_known_bald_chooses_the_rest() -> None:
    """Each of three images shows for certain which of two samples is the right one, so the first is enough."""
    sure = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]], dtype=torch.float64)
    log_probs = torch.cat([samples(6, k=2, classes=2, scale=0.5), sure.expand(3, 2, 2), samples(6, k=2, classes=2)])
    chosen = batch_bald(log_probs, 15, 10_000, stream(0, "query")).tolist()
    assert chosen == bald(log_probs).argsort(descending=True, stable=True).tolist()
    assert chosen[:3] == [6, 7, 8]


def test_candidates_whose_gain_is_not_computed_could_not_be_best() -> None:
    """For 300 candidates, most with low gains: the same choice as with all gains, but fewer are computed."""
    dull = (0.1 * samples(280, k=6, seed=2)).log_softmax(2)
    log_probs = torch.cat([dull, samples(20, k=6, seed=3)])[torch.randperm(300, generator=stream(0, "order"))]
    looks = []

    class Looked(Outcomes):
        def gains(self, log_probs: Tensor) -> Tensor:
            looks.append(len(log_probs))
            return super().gains(log_probs)

    outcomes = Outcomes.none(log_probs)
    bounds = outcomes.gains(log_probs)
    for place in (3, 40):
        outcomes = outcomes.with_image(log_probs[place])
    looked = Looked(outcomes.chances, outcomes.log_weights)
    every = torch.minimum(outcomes.gains(log_probs), bounds)
    assert greatest_gain(looked, log_probs, bounds.clone()) == int(every.argmax())
    assert sum(looks) < 300


def test_of_many_equal_candidates_the_first_is_chosen() -> None:
    """They are more than the gains that are computed together."""
    log_probs = samples(1).expand(2 * BLOCK + 1, -1, -1)
    outcomes = Outcomes.none(log_probs)
    assert greatest_gain(outcomes, log_probs, outcomes.gains(log_probs)) == 0


def test_as_many_label_vectors_as_allowed_are_still_all_of_them() -> None:
    """Two images of three classes have 9 vectors; with fewer allowed, random ones are drawn."""
    rng = stream(0, "query")
    before = rng.get_state()
    batch_bald(samples(8), 2, 9, rng)
    assert torch.equal(rng.get_state(), before)
    batch_bald(samples(8), 2, 8, rng)
    assert not torch.equal(rng.get_state(), before)


def test_samples_that_are_nan_are_an_error() -> None:
    with pytest.raises(ArithmeticError, match="batch_bald is not in"):
        batch_bald(torch.full((4, 2, 3), torch.nan, dtype=torch.float64), 2, 100, stream(0, "query"))


def test_certain_samples_leave_no_nan() -> None:
    log_probs = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]).double().log().expand(4, 2, 2)
    for vectors in (1, 100):
        assert sorted(batch_bald(log_probs, 4, vectors, stream(0, "query")).tolist()) == [0, 1, 2, 3]


def test_samples_that_differ_from_image_to_image_are_refused() -> None:
    build, recipe = net_builder(toy.data_set(), toy.model), toy.recipe()
    own = Dropout(build, recipe, samples=4)
    for learner in (own, Ensemble(build, recipe, members=1)):
        with pytest.raises(UsageError, match=r"several posterior .* learner=dropout learner\.shared_masks=true"):
            BatchBald().check_learner(learner)
    BatchBald().check_learner(Dropout(build, recipe, samples=4, shared_masks=True))


def test_the_seed_decides_between_candidates_with_equal_predictions() -> None:
    """Otherwise the lowest ids would be chosen. In a data set that is stored class by class these are one class."""
    build = net_builder(toy.data_set(), toy.model)
    same = Committee([build().eval() for _ in range(2)], 0)
    for net in same.nets:
        for parameter in net.parameters():
            nn.init.zeros_(parameter)
    pool = Pool(toy.data_set())
    picks = [sorted(BatchBald().select(same, pool, 5, stream(seed, "query")).tolist()) for seed in range(3)]
    assert len({tuple(ids) for ids in picks}) == 3
