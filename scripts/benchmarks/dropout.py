"""100 dropout samples of the Bayesian CNN's predictions on 256 images of 28 x 28, one CPU thread.

learner=dropout, which computes the convolutions before the first dropout layer once, against a loop of whole passes
(goal: at least 3 times faster), and its shared masks against every image's own. Equal results first.
"""

import torch
from paired import paired, start
from torch import Tensor, nn

from al_runner.learners.dropout import DropoutNet
from al_runner.models.gal2017 import cnn
from al_runner.models.layers import seed_layers
from al_runner.models.masked_dropout import dropout_layers
from al_runner.rng import global_stream, stream

SAMPLES = 100


def main() -> None:
    repeats = start(__doc__, "A", "B")
    images = torch.rand(256, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with global_stream(stream(0, "init")):
        net = cnn((1, 28, 28), 10).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    seed_layers(net, stream(0, "dropout"))
    own, shared = (DropoutNet.of(net, 0, SAMPLES, masks, stream(0, "posterior masks")) for masks in (False, True))
    whole = nn.Sequential(own.prefix, own.rest)

    @torch.inference_mode()
    def naive() -> Tensor:
        return torch.stack([one_pass(whole, own.first, images, t) for t in range(SAMPLES)], 1)

    assert torch.allclose(naive(), own.log_probs(images), atol=1e-5)
    times = paired(naive, lambda: own.log_probs(images), repeats)
    print(times.line("whole passes (A), learner (B)", "at least 3"))
    times = paired(lambda: own.log_probs(images), lambda: shared.log_probs(images), repeats)
    print(times.line("own masks (A), shared (B)", ""))


def one_pass(net: nn.Module, first: tuple[int, ...], images: Tensor, t: int) -> Tensor:
    for layer, stream_ in zip(dropout_layers(net), first, strict=True):
        layer.stream.fill_(stream_ + t)
    return net(images).log_softmax(-1)  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
