import copy

import pytest
import torch
from scipy.stats import chisquare, norm
from torch import nn
from torch.func import functional_call, vmap

from al_runner.errors import UsageError
from al_runner.models.layers import (
    Cutout,
    FlipAndShift,
    SeededDropout,
    TurnAndShift,
    flip_shift_cutout,
    seed_layers,
    seeded_layers,
)
from al_runner.rng import hashed_bits, stream


def layer(p: float = 0.3, channels: bool = False, key: int = 5) -> SeededDropout:
    made = SeededDropout(p, channels)
    made.stream.fill_(key)
    return made


def test_the_bits_are_splitmix64() -> None:
    """Against the published algorithm in Python's own integers."""
    full = (1 << 64) - 1

    def mixed(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & full
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & full
        return z ^ (z >> 31)

    for key in (0, 1, 2**62 + 12345):
        words = [mixed((mixed(key) + i * 0x9E3779B97F4A7C15) & full) for i in range(6)]
        wanted = b"".join(word.to_bytes(8, "little") for word in words)[: 2 * 22]
        assert hashed_bits(torch.tensor(key), 22).numpy().astype("<i2").tobytes() == wanted


def test_the_bits_are_uniform_and_streams_do_not_follow_each_other() -> None:
    rows = torch.stack([hashed_bits(torch.tensor(key), 40_000) for key in range(25)])
    counts = torch.bincount((rows.flatten().long() + 32768) >> 6, minlength=1024)
    assert 1e-4 < chisquare(counts.numpy()).pvalue < 1 - 1e-4
    correlations = torch.corrcoef(rows.double())[~torch.eye(25, dtype=torch.bool)]
    assert float(correlations.abs().max()) < norm.isf(1e-4 / len(correlations)) / 200


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5])
def test_dropout_keeps_the_mean_and_drops_its_share(p: float) -> None:
    x = torch.ones(100, 1000)
    out = layer(p)(x)
    n = x.numel()
    assert abs(int((out == 0).sum()) - n * p) < 4 * (n * p * (1 - p)) ** 0.5
    torch.testing.assert_close(out[out > 0], torch.full_like(out[out > 0], 1 / (1 - p)), rtol=1e-4, atol=0)


def test_every_step_and_every_stream_has_its_own_masks_and_evaluation_has_none() -> None:
    x = torch.ones(4, 50)
    net = layer()
    first = net(x)
    assert torch.equal(net(x), first)
    net.stream += 1
    assert not torch.equal(net(x), first)
    assert not torch.equal(layer(key=6)(x), first)
    assert not torch.equal(first[0], first[1])
    assert torch.equal(net.eval()(x), x)
    assert torch.equal(layer(0.0)(x), x)
    assert torch.equal(layer(1.0)(x), torch.zeros_like(x))


def test_whole_channels_are_dropped() -> None:
    out = layer(0.5, channels=True)(torch.ones(20, 10, 3, 3))
    sums = out.sum((2, 3))
    assert set(sums.unique().tolist()) == {0.0, 18.0}


@pytest.mark.parametrize(
    ("kind", "channels"), [(nn.Dropout, False), (nn.Dropout1d, True), (nn.Dropout2d, True), (nn.Dropout3d, True)]
)
def test_torch_s_dropout_layers_become_seeded_ones_anywhere_in_a_net(kind: type[nn.Module], channels: bool) -> None:
    net = nn.Sequential(nn.Sequential(nn.Linear(3, 3), kind(0.4)), kind(0.1))
    seed_layers(net, stream(0, "dropout"))
    layers = seeded_layers(net)
    assert [(found.p, found.channels) for found in layers] == [(0.4, channels), (0.1, channels)]
    assert int(layers[0].stream) != int(layers[1].stream) != 0
    other = copy.deepcopy(net)
    seed_layers(other, stream(0, "dropout"))
    assert [int(found.stream) for found in seeded_layers(other)] == [int(found.stream) for found in layers]
    assert not [name for name in net.state_dict() if "stream" in name]


def test_a_stack_draws_what_its_nets_would_draw_alone() -> None:
    nets = [nn.Sequential(FlipAndShift(1), SeededDropout(0.3)) for _ in range(3)]
    for i, net in enumerate(nets):
        seed_layers(net, stream(i, "dropout"))
    x = torch.rand(3, 5, 2, 6, 6)
    streams = {
        name: torch.stack([dict(net.named_buffers())[name] for net in nets]) for name, _ in nets[0].named_buffers()
    }
    together = vmap(lambda buffers, x: functional_call(nets[0], buffers, (x,)))(streams, x)
    assert torch.equal(together, torch.stack([net(part) for net, part in zip(nets, x, strict=True)]))


def test_augmentation_mirrors_and_shifts_each_image_separately_and_only_in_training() -> None:
    net = FlipAndShift(2)
    net.stream.fill_(3)
    x = torch.randint(1, 256, (200, 3, 6, 5), dtype=torch.uint8)
    out = net(x)
    assert out.dtype == torch.uint8
    assert out.shape == x.shape
    seen: dict[tuple[bool, int, int], int] = {}
    padded = nn.functional.pad(x, [2] * 4)
    for i in range(len(x)):
        found = [
            (flip, down, right)
            for flip in (False, True)
            for down in range(5)
            for right in range(5)
            if torch.equal(out[i], (padded[i].flip(-1) if flip else padded[i])[:, down : down + 6, right : right + 5])
        ]
        assert len(found) == 1
        seen[found[0]] = seen.get(found[0], 0) + 1
    assert len(seen) > 40  # of 50 equally likely ones; 200 draws leave out 1 in 57
    assert torch.equal(net.eval()(x), x)
    still = FlipAndShift(0, flip=False)
    assert torch.equal(still(x), x)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_cutout_covers_a_square_about_a_pixel_with_the_image_s_mean(dtype: torch.dtype) -> None:
    images = torch.randint(0, 200, (300, 3, 9, 7), generator=torch.Generator().manual_seed(0)).to(dtype)
    layer = Cutout(4)
    layer.stream.fill_(3)
    out = layer(images)
    assert out.dtype == dtype
    mean = images.float().mean((2, 3)).to(dtype)
    found = set()
    for image, before, colour in zip(out, images, mean, strict=True):
        places = [
            (row, column)
            for row in range(9)
            for column in range(7)
            if torch.equal(
                image,
                covered(before, range(row - 2, row + 2), range(column - 2, column + 2), colour),
            )
        ]
        assert places
        found.update(places)
    assert found == {(row, column) for row in range(9) for column in range(7)}  # every pixel is a centre
    assert torch.equal(layer(images), out)
    layer.stream += 1
    assert not torch.equal(layer(images), out)
    assert torch.equal(layer.eval()(images), images)


def covered(image: torch.Tensor, rows: range, columns: range, colour: torch.Tensor) -> torch.Tensor:
    out = image.clone()
    for row in set(rows) & set(range(image.shape[1])):
        for column in set(columns) & set(range(image.shape[2])):
            out[:, row, column] = colour
    return out


def test_flip_and_shift_come_before_cutout_and_draw_from_their_own_streams() -> None:
    both = flip_shift_cutout(1, True, 2)
    seed_layers(both, stream(0, "dropout"))
    first, second = seeded_layers(both)
    assert (type(first), type(second)) == (FlipAndShift, Cutout)
    assert int(first.stream) != int(second.stream)
    images = torch.rand(5, 1, 6, 6)
    assert torch.equal(both(images), second(first(images)))
    with pytest.raises(UsageError, match=r"training\.augment\.cutout is 0"):
        flip_shift_cutout(cutout=0)
    with pytest.raises(UsageError, match=r"training\.augment\.pixels is 0; it must be 1 or more"):
        Cutout(0)


class Given(TurnAndShift):
    """The layer with draws given as shares of the most, in (-1, 1): turn, down, right."""

    draws: tuple[float, float, float]

    def bits(self, count: int) -> torch.Tensor:
        return torch.tensor(self.draws).mul(32768).repeat_interleave(count // 3)


def moved(x: torch.Tensor, draws: tuple[float, float, float], pixels: float, degrees: float) -> torch.Tensor:
    net = Given(pixels, degrees)
    net.draws = draws
    return net(x)


def test_whole_pixels_move_an_image_and_zeros_move_in() -> None:
    x = torch.randint(1, 256, (3, 2, 5, 7), dtype=torch.uint8)
    out = moved(x, (0.3, 0.5, -0.25), 4, 0)  # values come from 2 rows below and 1 column to the left
    torch.testing.assert_close(out[:, :, :-2, 1:], x[:, :, 2:, :-1].float(), rtol=1e-4, atol=1e-3)
    assert float(out[:, :, -2:].abs().max()) < 0.01 and float(out[..., 0].abs().max()) < 0.01


@pytest.mark.parametrize("share", [1.0, -1.0])
def test_a_quarter_turn_is_a_quarter_turn(share: float) -> None:
    x = torch.rand(2, 1, 6, 6)
    torch.testing.assert_close(moved(x, (share, 0, 0), 2, 90), torch.rot90(x, int(share), (3, 2)), rtol=0, atol=1e-4)


def test_turns_and_shifts_are_drawn_evenly_up_to_the_most() -> None:
    """A dot in the middle of the image moves by up to 2 pixels; one at the edge tells the turn."""
    x = torch.zeros(4000, 1, 21, 21)
    x[:, :, 10, 10] = 1
    net = TurnAndShift(pixels=2, degrees=10)
    net.stream.fill_(3)
    places = torch.arange(21.0) - 10
    out = net(x)
    for axis in (2, 3):
        shift = (out.sum(axis) * places).sum(-1) / out.sum((2, 3))
        assert 1.9 < float(shift.max()) < 2.3 and -2.3 < float(shift.min()) < -1.9
        assert abs(float(shift.mean())) < 4 * 2 / (3 * 4000) ** 0.5
    x = torch.zeros(4000, 1, 21, 21)
    x[:, :, 10, 20] = 1
    net.pixels = 0
    out = net(x)
    degrees = torch.rad2deg(torch.asin(((out.sum(3) * places).sum(-1) / out.sum((2, 3))).clamp(-10, 10) / 10))
    assert 9 < float(degrees.max()) < 11 and -11 < float(degrees.min()) < -9
    assert torch.equal(net.eval()(x), x)


def test_turning_is_the_same_in_a_stack() -> None:
    x = torch.randint(0, 256, (3, 8, 1, 6, 6), dtype=torch.uint8)
    net = TurnAndShift()
    streams = torch.tensor([4, 5, 6])
    stacked = vmap(lambda key, images: functional_call(net, {"stream": key}, (images,)))(streams, x)
    for key, images, wanted in zip(streams, x, stacked, strict=True):
        net.stream = key
        torch.testing.assert_close(net(images), wanted)
