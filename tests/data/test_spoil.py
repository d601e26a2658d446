import pytest
import torch
import toy

from al_runner.data.spoil import label_noise, outliers, repeated
from al_runner.errors import UsageError
from al_runner.types import DataSet


def untouched(data: DataSet, clean: DataSet) -> None:
    """Validation and test, ids and images and labels, are those of the clean data set."""
    for part in ("val", "test"):
        ids = getattr(clean, part)
        assert torch.equal(getattr(data, part), ids)
        assert torch.equal(data.images[ids], clean.images[ids])
        assert torch.equal(data.labels[ids], clean.labels[ids])


def test_label_noise_changes_its_share_of_training_labels_and_nothing_else() -> None:
    clean = toy.data_set(1200)
    data = label_noise(clean, 0.25)
    untouched(data, clean)
    assert torch.equal(data.images, clean.images)
    wrong = (data.labels != clean.labels).nonzero().flatten()
    assert len(wrong) == 150
    assert bool(torch.isin(wrong, clean.train).all())
    steps = ((data.labels - clean.labels) % 3)[wrong]
    assert 50 < int((steps == 1).sum()) < 100  # either other class, equally likely: 4 standard deviations are 24
    assert torch.equal(label_noise(clean, 0.25).labels, data.labels)
    assert not torch.equal(label_noise(clean, 0.25, seed=1).labels, data.labels)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_repeats_are_new_ids_with_the_label_of_their_original(noise: float) -> None:
    clean = toy.data_set()
    data = repeated(clean, 3, noise)
    untouched(data, clean)
    n = len(clean.train)
    assert torch.equal(data.train[:n], clean.train)
    assert data.train[n:].tolist() == list(range(len(clean.images), len(clean.images) + 2 * n))
    for copy in (data.train[n : 2 * n], data.train[2 * n :]):
        assert torch.equal(data.labels[copy], clean.labels[clean.train])
        difference = data.images[copy].float() - clean.images[clean.train].float()
        assert bool((difference == 0).all()) == (noise == 0)
        inside = (clean.images[clean.train] > 80) & (clean.images[clean.train] < 170)
        assert float(difference[inside].std()) == pytest.approx(255 * noise, rel=0.1)
    assert noise == 0 or not torch.equal(data.images[data.train[n : 2 * n]], data.images[data.train[2 * n :]])


def test_outliers_keep_their_pixels_in_another_order() -> None:
    clean = toy.data_set(1200)
    data = outliers(clean, 0.2)
    untouched(data, clean)
    changed = (data.images != clean.images).flatten(1).any(1).nonzero().flatten()
    assert len(changed) == 120
    assert bool(torch.isin(changed, clean.train).all())
    sides = [images[changed].flatten(1).sort(1).values for images in (data.images, clean.images)]
    assert torch.equal(*sides)
    kept = int((data.labels[changed] == clean.labels[changed]).sum())
    assert 20 < kept < 60  # a third by chance: 4 standard deviations are 21
    rest = torch.ones(1200, dtype=torch.bool)
    rest[changed] = False
    assert torch.equal(data.labels[rest], clean.labels[rest])


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5])
def test_a_share_out_of_range_is_named(share: float) -> None:
    for spoil in (label_noise, outliers):
        with pytest.raises(UsageError, match=r"pool\.share"):
            spoil(toy.data_set(), share)
    with pytest.raises(UsageError, match=r"pool\.times"):
        repeated(toy.data_set(), 1)
