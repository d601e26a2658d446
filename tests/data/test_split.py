import numpy as np
import pytest
import torch

from al_runner.data.arrays import Arrays
from al_runner.data.split import Split
from al_runner.errors import UsageError
from al_runner.rng import stream


def arrays(train=100, test=20):
    total = train + test
    images = np.arange(total * 4, dtype=np.uint32).astype(np.uint8).reshape(total, 2, 2)
    labels = np.arange(total) % 5
    return Arrays(images[:train], labels[:train], images[train:], labels[train:], np.array(list("abcde")))


@pytest.mark.parametrize(
    ("split", "sizes"),
    [
        (Split(val=10), (90, 10, 20)),
        (Split(val=0.25), (75, 25, 20)),
        (Split(val=30, test=60), (30, 30, 60)),
        (Split(val=0.1, test=0.5), (54, 6, 60)),
        (Split(val=0), (100, 0, 20)),
        (Split(val=0, test=0.5), (60, 0, 60)),
    ],
)
def test_the_parts_are_ascending_disjoint_and_complete(split, sizes):
    data = split.apply(arrays())
    parts = (data.train, data.val, data.test)
    assert tuple(len(part) for part in parts) == sizes
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(120))
    for part in parts:
        assert part.dtype == torch.int64
        assert (part.diff() > 0).all()


def test_a_fraction_gives_the_nearest_number_of_images():
    """.29 * 100 is 28.999999999999996, and .166 * 71 is 11.786, so 12."""
    data = Split(val=0.166, test=0.29).apply(arrays(80, 20))
    assert (len(data.test), len(data.val), len(data.train)) == (29, 12, 59)


def test_the_given_test_images_are_the_last_rows_unless_all_are_merged():
    assert Split(val=10).apply(arrays()).test.tolist() == list(range(100, 120))
    merged = Split(val=10, test=20).apply(arrays())
    assert merged.test.tolist() == sorted(torch.randperm(120, generator=stream(0, "split"))[:20].tolist())


def test_the_seed_alone_decides():
    first, again, other = (Split(val=10, seed=seed).apply(arrays()) for seed in (3, 3, 4))
    assert torch.equal(first.val, again.val)
    assert not torch.equal(first.val, other.val)
    assert torch.equal(first.images, other.images)
    expected = torch.randperm(100, generator=stream(3, "split"))[:10].sort().values
    assert torch.equal(first.val, expected)


def test_ids_are_rows_of_the_images_channels_last():
    data = Split(val=10).apply(arrays())
    assert data.images.shape == (120, 1, 2, 2)
    assert data.images.stride() == (4, 1, 2, 1)
    assert data.images[7].flatten().tolist() == [28, 29, 30, 31]
    assert data.labels[7] == 2


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (Split(val=100), r"dataset\.split\.val is 100, but it is drawn from 100 images"),
        (Split(val=10, test=120), r"dataset\.split\.test is 120, but it is drawn from 120 images"),
        (Split(val=60, test=60), r"dataset\.split\.val is 60, but it is drawn from 60 images"),
        (Split(test=0), "a whole number from 1 to 119, or a fraction below 1"),
        (Split(val=-5), "a whole number from 1 to 99"),
        (Split(val=2.5), "a whole number from 1 to 99"),
    ],
)
def test_sizes_beyond_the_data_are_refused(split, message):
    with pytest.raises(UsageError, match=message):
        split.apply(arrays())


def test_one_image_can_t_be_shared_out():
    with pytest.raises(UsageError, match=r"dataset\.split\.val is 0\.1, but it is drawn from 1 image; add images"):
        Split().apply(arrays(train=1))


def test_a_size_that_is_no_number_is_refused():
    with pytest.raises(UsageError, match=r"dataset\.split\.val is 'many'; it must be a number or null"):
        Split(val="many")


OWN = arrays()._replace(val_images=np.full((10, 2, 2), 9, np.uint8), val_labels=np.arange(10) % 5)


@pytest.mark.parametrize(
    ("split", "sizes", "given"),
    [
        (Split(), (100, 10, 20), True),
        (Split(test=40), (80, 10, 40), True),
        (Split(val=30), (80, 30, 20), False),
        (Split(val=0.5, test=0.5), (33, 32, 65), False),
        (Split(val=0), (110, 0, 20), False),
    ],
)
def test_validation_images_of_its_own_are_kept_unless_a_size_is_given(split, sizes, given):
    data = split.apply(OWN)
    parts = (data.train, data.val, data.test)
    assert tuple(len(part) for part in parts) == sizes
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(130))
    assert (data.val.tolist() == [*range(120, 130)]) == given
    assert bool((data.images[120:] == 9).all())
    assert all((part.diff() > 0).all() for part in parts)


def test_without_validation_images_a_tenth_is_held_out():
    assert torch.equal(Split().apply(arrays()).val, Split(val=0.1).apply(arrays()).val)
