"""Patches' features against loops over every patch, and their freedom from test images."""

from dataclasses import replace

import pytest
import torch
from conftest import photographs

from al_runner.errors import UsageError
from al_runner.features.patches import Patches, drawn, learn, normalised, zca
from al_runner.rng import stream

CPU = torch.device("cpu")
CHOICE = Patches(side=4, centres=7, samples=300)


def by_hand(image: torch.Tensor, learned) -> torch.Tensor:
    height, width = image.shape[1:]
    rows, columns = height - 3, width - 3
    sums = torch.zeros(2, 2, 7, dtype=torch.float64)
    for top in range(rows):
        for left in range(columns):
            patch = ((image[:, top : top + 4, left : left + 4].double() - learned.low) * learned.scale).flatten()
            patch = (patch - patch.mean()) / (patch.var() + 10).sqrt()
            white = (patch - learned.mean) @ learned.whitening.double()
            distances = torch.stack([(white - centre).norm() for centre in learned.centres.double()])
            sums[int(top >= (rows + 1) // 2), int(left >= (columns + 1) // 2)] += (distances.mean() - distances).clamp(
                0
            )
    return sums.flatten()


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_features_are_sums_of_triangle_activations_over_quarters(kind):
    data = photographs(n=12)
    if kind == torch.float32:
        data = replace(data, images=data.images.float() / 100 - 1)
    learned = learn(data.images, data.train, 4, 7, 300, 0)
    found = CHOICE.extractor(data, CPU)(data.images[:5])
    assert found.shape == (5, 28)
    for row, image in zip(found, data.images[:5], strict=True):
        assert torch.allclose(row.double(), by_hand(image, learned), rtol=1e-4, atol=1e-3)


def test_floats_of_any_range_have_the_features_of_their_pixels():
    data = photographs(n=12)
    low, high = data.images[data.train].min(), data.images[data.train].max()
    same = replace(data, images=(data.images.float() - low) / (high - low) * 7 - 3)
    whole = replace(data, images=((data.images.float() - low) * 255 / (high - low)))
    found, expected = (CHOICE.extractor(one, CPU)(one.images) for one in (same, whole))
    assert torch.allclose(found, expected, rtol=1e-2, atol=1e-2 * float(expected.max()))


def test_patches_are_cut_out_of_the_images_they_are_drawn_from():
    images = torch.arange(5 * 2 * 6 * 7).reshape(5, 2, 6, 7).to(torch.uint8)
    found = drawn(images, torch.tensor([1, 3]), 3, 40, stream(0, "patches"))
    every = {
        tuple(images[id_, :, top : top + 3, left : left + 3].flatten().tolist())
        for id_ in (1, 3)
        for top in range(4)
        for left in range(5)
    }
    cut = {tuple(map(int, patch.tolist())) for patch in found}
    assert cut <= every
    assert len(cut) > 20


def test_whitened_patches_have_no_correlation_left():
    mixed = torch.randn(3000, 6, generator=torch.Generator().manual_seed(0)) @ torch.randn(
        6, 6, generator=torch.Generator().manual_seed(1)
    )
    mean, whitening = zca(100 * mixed + 5)
    assert torch.allclose(whitening, whitening.T, atol=1e-6)
    assert torch.allclose(torch.cov(((100 * mixed + 5 - mean) @ whitening).T), torch.eye(6), atol=2e-2)
    flat = normalised(torch.full((2, 6), 9.0))
    assert torch.equal(flat, torch.zeros(2, 6))  # a patch of one colour has no contrast, and is no NaN


def test_only_training_images_have_influence_on_the_centres(tmp_path):
    data = photographs()
    images = data.images.clone()
    images[data.test], images[data.val] = 255 - images[data.test], 0
    others = replace(data, images=images)
    ours, theirs = (learn(one.images, one.train, 4, 7, 300, 0) for one in (data, others))
    assert all(torch.equal(a, b) for a, b in zip(ours[2:], theirs[2:], strict=True))
    found, changed = (CHOICE.apply(one, tmp_path, CPU).images for one in (data, others))
    assert torch.equal(found[data.train], changed[data.train])
    assert not torch.equal(found[data.test], changed[data.test])
    # Other training images of the same data set have centres, and a file, of their own.
    fewer = CHOICE.apply(replace(data, train=data.train[:4]), tmp_path, CPU).images
    assert not torch.equal(found[data.train], fewer[data.train])
    assert len(list((tmp_path / "features").glob("patches-*.npy"))) == 3


def test_images_must_be_larger_than_patches(tmp_path):
    with pytest.raises(UsageError, match=r"9 x 10; .* set features\.side below 9"):
        Patches(side=9).apply(photographs(), tmp_path, CPU)
    with pytest.raises(UsageError, match="more samples than centres"):
        Patches(samples=10, centres=10).require()
