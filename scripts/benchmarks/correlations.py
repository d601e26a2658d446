"""A convolution's input factor from shifted images (B) and from patches (A): 128 images, one CPU thread.

The layers are those of the papers' nets that take the most time. Processor time, equal results first. Goal: at least
twice as fast.
"""

from functools import partial
from time import process_time

import torch
from paired import paired, start
from torch import Tensor, nn

from al_runner.fisher.correlations import correlates, patch_products
from al_runner.fisher.factors import gram
from al_runner.fisher.rows import block_samples

TOLERANCE = 1e-6  # of the factor's norm; float32 sums differ in their order
LAYERS = {  # channels, pixels a side, the layer
    "USPS net, second": (20, 14, nn.Conv2d(20, 20, 3)),
    "MNIST net, second": (20, 13, nn.Conv2d(20, 20, 3)),
    "MNIST net of Gal et al., second": (32, 25, nn.Conv2d(32, 32, 4)),
    "cifar10_quick, second": (32, 16, nn.Conv2d(32, 32, 5, padding=2)),
    "cifar10_quick, third": (32, 8, nn.Conv2d(32, 64, 5, padding=2)),
    "resnet18, first block": (64, 32, nn.Conv2d(64, 64, 3, padding=1, bias=False)),
}


def from_patches(layer: nn.Conv2d, x: Tensor, gradient: Tensor) -> Tensor:
    samples = block_samples("layer", layer, x, [gradient])
    return torch.stack([gram(inputs.flatten(0, 1)).double() for _, (inputs, _) in samples]).sum(0)


def main() -> None:
    repeats = start(__doc__, "patches", "shifts")
    for name, (channels, side, layer) in LAYERS.items():
        x = torch.rand(128, channels, side, side, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            gradient = torch.zeros_like(layer(x))
            patches, shifts = partial(from_patches, layer, x, gradient), partial(patch_products, layer, x)
            error = (patches() - shifts()).norm() / shifts().norm()
            if not correlates(layer, x, gradient.shape) or error > TOLERANCE:
                raise SystemExit(f"{name}: the factors differ, or al-runner takes patches here")
            print(paired(patches, shifts, repeats, process_time).line(name, "2"), flush=True)


if __name__ == "__main__":
    main()
