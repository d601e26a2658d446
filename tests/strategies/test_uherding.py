"""UHerding against plain greedy with weights, and its temperature against a search by hand."""

import pytest
import torch
import toy
from torch.nn.functional import normalize

from al_runner.engine import one_by_one
from al_runner.engine.drive import drive
from al_runner.learners.committee import Committee, networks
from al_runner.learners.plain import Plain
from al_runner.metrics import calibration_error
from al_runner.models.inputs import net_builder
from al_runner.pool import Pool
from al_runner.rng import Streams, stream
from al_runner.strategies.calibrated import (
    Calibrated,
    CalibratedFit,
    best_temperature,
    temperature_of,
    tempered,
)
from al_runner.strategies.coverage import MaxHerding, herding, kernel_of
from al_runner.strategies.uherding import UHerding, least_distance, uncertainties
from al_runner.training import Fit
from al_runner.types import DataSet, Unfitted
from al_runner.wrapped import WrappedFit

X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
W = torch.rand(60, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("labelled", [0, 6])
def test_choices_are_those_of_plain_weighted_greedy(labelled):
    x, others, known = X[:40], X.flip(0, 1), X[40 : 40 + labelled]
    kernel = (-torch.cdist(x, others, compute_mode="donot_use_mm_for_euclid_dist").square() / 0.81).exp()
    best = torch.zeros(60, dtype=torch.float64)
    for row in known:
        best = torch.maximum(best, (-(others - row).square().sum(1) / 0.81).exp())
    expected = []
    for _ in range(12):
        gains = (W * (kernel - best).clamp_min(0)).sum(1)
        gains[expected] = -1
        expected.append(int(gains.argmax()))
        best = torch.maximum(best, kernel[expected[-1]])
    assert herding(x, others, known, 12, kernel_of("rbf", 0.9), W).tolist() == expected
    assert herding(x, others, known, 12, kernel_of("rbf", 0.9)).tolist() != expected


def test_calibration_error_by_hand():
    probs = torch.tensor([[0.9, 0.1, 0.0], [0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.2, 0.35, 0.45], [1.0, 0.0, 0.0]])
    y = torch.tensor([0, 1, 1, 2, 1])
    # Bins (0, 1/3], (1/3, 2/3], (2/3, 1]: confidences .4 and .45, both right; .9 right, .7 and 1 wrong.
    expected = (abs(2 - 0.85) + abs(1 - 2.6)) / 5
    assert calibration_error(probs, y, 3) == pytest.approx(expected, abs=1e-6)
    assert calibration_error(probs, y, 1) == pytest.approx(abs(3 - 3.45) / 5, abs=1e-6)


def test_the_temperature_is_that_of_the_net_that_drew_the_labels():
    """Labels drawn from softmax(z); a net that says softmax(4 z) is too sure by a temperature of 4."""
    rng = torch.Generator().manual_seed(0)
    z = 1.5 * torch.randn(20000, 5, generator=rng)
    y = torch.multinomial(z.softmax(1), 1, generator=rng)[:, 0]
    assert 3.6 < best_temperature((4 * z).log_softmax(1), y) < 4.4
    assert best_temperature((z / 2).log_softmax(1), y) == 1.0  # no temperature below 1 is tried
    errors = {t / 10: calibration_error((4 * z / (t / 10)).double().softmax(1), y, 5) for t in range(10, 200)}
    assert best_temperature((4 * z).log_softmax(1), y) == pytest.approx(min(errors, key=errors.__getitem__))
    assert torch.allclose(tempered((4 * z).log_softmax(1), 4.0), z.softmax(1), atol=1e-5)


def test_the_temperature_is_judged_in_as_many_bins_as_classes():
    """With the 15 bins of the recorded calibration error these 40 images would have another temperature."""
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(40, 3, generator=rng)
    y = torch.multinomial(z.softmax(1), 1, generator=rng)[:, 0]
    errors = {
        bins: [calibration_error((4 * z / (t / 10)).double().softmax(1), y, bins) for t in range(10, 200)]
        for bins in (3, 15)
    }
    assert errors[3].index(min(errors[3])) != errors[15].index(min(errors[15]))
    assert best_temperature((4 * z).log_softmax(1), y) == 1 + errors[3].index(min(errors[3])) / 10


def test_equal_points_do_not_make_the_kernel_a_point():
    x = normalize(torch.randn(40, 8, generator=torch.Generator().manual_seed(0)))
    expected = min(float((a - b).norm()) for i, a in enumerate(x) for b in x[:i])
    assert least_distance(torch.cat([x, x[:7]])) == pytest.approx(expected, rel=1e-5)
    assert least_distance(x[:1].repeat(5, 1)) == float("inf")
    assert UHerding().width_of(x[:1].repeat(5, 1)) == UHerding().width_of(x[:0]) == 1.0
    assert UHerding(width=0.2).width_of(x) == 0.2


def learner(fits: list[Fit]) -> tuple[Calibrated, object]:
    def train(asked):
        fits.extend(asked)
        return one_by_one.train_all(asked)

    wrapped = UHerding().wrap(Plain(net_builder(toy.data_set(), toy.model), toy.recipe()))
    return wrapped, train


def test_the_last_images_bought_are_held_out_of_a_fit_that_is_thrown_away():
    fits: list[Fit] = []
    wrapped, train = learner(fits)
    data = toy.train_data()
    fitted = drive(wrapped.fit(data, Streams(0, 0), None), train)
    whole, part = fits
    assert torch.equal(whole.data.x, data.x) and torch.equal(part.data.x, data.x[:9])  # of 12, 30 % are 3
    alone = drive(wrapped.base.fit(data, Streams(0, 0), None), one_by_one.train_all)
    assert torch.equal(fitted.log_probs(data.x), alone.log_probs(data.x))
    trial = drive(wrapped.base.fit(part.data, Streams(0, 0).of("calibration"), None), one_by_one.train_all)
    expected = best_temperature(trial.log_probs(data.x[9:])[:, 0], data.y[9:])
    assert temperature_of(WrappedFit(fitted)) == expected
    assert temperature_of(alone) == 1.0
    # Pseudo-labelled examples, which come last, are no purchase.
    more = data.plus(data.val_x[:5], data.val_y[:5])
    drive(wrapped.fit(more, Streams(0, 0), None), train)
    assert (len(fits[2].data.y), len(fits[3].data.y)) == (17, 9)
    few = data._replace(x=data.x[:3], y=data.y[:3])  # 30 % of 3 are none
    assert drive(wrapped.fit(few, Streams(0, 0), None), train).temperature == 1.0
    assert len(fits) == 5


def test_uncertainty_is_one_minus_the_margin_at_the_temperature():
    data = toy.data_set()
    pool = toy.bought(data, data.train[:12])
    pool.draw_candidates(10, stream(0, "candidates"))  # all images are covered, and not only those to choose from
    fitted = drive(learner([])[0].fit(toy.train_data(), Streams(0, 0), None), one_by_one.train_all)
    p = (fitted.log_probs(pool.x(pool.unlabelled))[:, 0] / fitted.temperature).softmax(1).sort(1).values
    assert torch.allclose(uncertainties(fitted, pool), 1 - (p[:, -1] - p[:, -2]), atol=1e-6)


def test_without_labels_it_is_max_herding():
    pool = Pool(toy.data_set())
    ours, theirs = (one.select(Unfitted(), pool, 9, stream(0, "query")) for one in (UHerding(), MaxHerding()))
    assert ours.tolist() == theirs.tolist()


def test_of_two_groups_the_uncertain_one_is_bought():
    """Ten points in each of two far groups; predictions are sure in the larger one and unsure in the smaller one."""
    ids = torch.arange(22)
    group = (ids >= 14).long()
    features = 10 * torch.eye(2)[group] + 0.1 * torch.randn(22, 2, generator=torch.Generator().manual_seed(0))
    images = ids.to(torch.uint8)[:, None, None, None]
    pool = Pool(DataSet(images, ids % 2, ids, ids[:0], ids[:0], ("a", "b"), features=features))
    pool.buy(ids[[0, 14]], ids[[0, 14]] % 2)
    table = torch.where(group[:, None] == 1, torch.tensor([0.5, 0.5]), torch.tensor([1 - 1e-6, 1e-6])).log()[:, None]
    chosen = UHerding(width=0.3).select(toy.Table(table), pool, 3, stream(0, "query"))
    assert (chosen >= 14).all()
    assert (MaxHerding(width=0.3).select(Unfitted(), pool, 3, stream(0, "query")) < 14).any()


@pytest.mark.parametrize("gap", [3e-3, 1e-3, 1e-4, 1e-5])
def test_labelled_twins_leave_the_choice_to_the_margin(gap: float) -> None:
    """Two labelled images are almost equal, so the kernel is so narrow that every image covers only itself."""
    rng, ids = torch.Generator().manual_seed(0), torch.arange(200)
    features = normalize(torch.randn(200, 64, generator=rng))
    features[1] = normalize(features[0] + gap / 8 * torch.randn(64, generator=rng), dim=0)
    pool = Pool(
        DataSet(ids.to(torch.uint8)[:, None, None, None], ids % 2, ids, ids[:0], ids[:0], ("a", "b"), features=features)
    )
    pool.buy(ids[:2], ids[:2] % 2)
    sure = torch.rand(200, generator=rng)
    table = torch.stack([1 + sure, 1 - sure], 1).div(2).log()[:, None]
    chosen = UHerding().select(toy.Table(table), pool, 20, stream(0, "query"))
    assert chosen.tolist() == (2 + sure[2:].argsort()[:20]).tolist()


def test_the_nets_behind_a_calibrated_committee_are_found():
    nets = [toy.model((1, 6, 6), 3) for _ in range(2)]
    assert networks(WrappedFit(CalibratedFit(Committee(nets, 1), 2.0))) == nets
