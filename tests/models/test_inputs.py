"""What a net sees of the stored values."""

from dataclasses import replace

import torch
import toy
from torch import nn

from al_runner.models.inputs import net_builder


def seen(standardise: bool, values: torch.Tensor) -> torch.Tensor:
    data = replace(toy.data_set(), images=values)
    out: torch.Tensor = net_builder(data, lambda _, __: nn.Identity(), standardise)()(values)
    return out


def test_inputs_are_standardised_over_the_training_images_alone() -> None:
    data = toy.data_set()
    out = seen(True, data.images)[data.train]
    torch.testing.assert_close(out.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std(correction=0), torch.tensor(1.0), atol=1e-5, rtol=0)
    everything = seen(True, data.images)
    assert abs(float(everything.mean())) > 1e-5


def test_without_it_bytes_become_0_to_1_and_floats_stay() -> None:
    images = toy.data_set().images
    torch.testing.assert_close(seen(False, images), images / 255)
    assert torch.equal(seen(False, images / 51), images / 51)
