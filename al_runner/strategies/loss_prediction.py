"""The loss-prediction module of Yoo & Kweon (2019): it reads a net's feature maps and predicts the loss of each image.

N examples, B examples in a minibatch, Y classes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu

from al_runner.errors import UsageError

Loss = Callable[[Tensor, Tensor], Tensor]


class WithLossPrediction(nn.Module):
    """A net, and the module that predicts its losses.

    In training mode it gives the logits and the predicted loss as one more column, [N, Y + 1]. After `cut` training
    steps (forward passes) the module's gradient no longer reaches the net. In evaluation mode it gives only the net's
    logits, [N, Y].
    """

    steps: Tensor  # int64, one number: forward passes in training

    def __init__(self, net: nn.Module, layers: Sequence[str], widths: Sequence[int], hidden: int, cut: int):
        super().__init__()
        self.layers, self.cut = tuple(layers), cut
        self.maps = nn.ModuleList(nn.Linear(width, hidden) for width in widths)
        self.out = nn.Linear(hidden * len(widths), 1)
        self.net = net  # the last, so that the last dense layer of all is the net's
        self.register_buffer("steps", torch.tensor(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            logits: Tensor = self.net(x)
            return logits
        reaches = self.steps < self.cut
        self.steps.add_(1)
        logits, maps = self._maps(x)
        maps = [torch.where(reaches, values, values.detach()) for values in maps]
        return torch.cat([logits, self._predicted(maps)], 1)

    def losses(self, x: Tensor) -> Tensor:
        """Predicted losses, [N]. They only order images and have no unit."""
        return self._predicted(self._maps(x)[1])[:, 0]

    def _maps(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits [N, Y], and the mean of every map over its positions, [N, channels] each."""
        with outputs(self.net, self.layers) as maps:
            logits = self.net(x)
        return logits, [maps[name].flatten(2).mean(2) if maps[name].ndim > 2 else maps[name] for name in self.layers]

    def _predicted(self, maps: Sequence[Tensor]) -> Tensor:
        hidden = [relu(layer(values)) for layer, values in zip(self.maps, maps, strict=True)]
        losses: Tensor = self.out(torch.cat(hidden, 1))
        return losses


@dataclass(frozen=True)
class Build:
    """Builds the net that `build` builds, with a loss-prediction module; the net's own weights are drawn first."""

    build: Callable[[], nn.Module]
    image: Tensor = field(repr=False)  # any image, [1, C, H, W], on the CPU; it is used to find the maps' widths
    layers: tuple[str, ...] | None
    hidden: int
    cut: int

    def __call__(self) -> WithLossPrediction:
        net = self.build().eval()
        widths = feature_maps(net, self.image, self.layers)
        return WithLossPrediction(net, list(widths), list(widths.values()), self.hidden, self.cut).train()


@contextmanager
def outputs(net: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """While open, records the outputs of the named layers in a forward pass, in the order of computation."""
    values: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_: nn.Module, __: object, output: Tensor) -> None:
            values.pop(name, None)
            values[name] = output

        return hook

    # The hooks are removed after the pass: a copy of the net would call the hooks of the original.
    handles = [net.get_submodule(name).register_forward_hook(keep(name)) for name in layers]
    try:
        yield values
    finally:
        for handle in handles:
            handle.remove()


def feature_maps(net: nn.Module, x: Tensor, layers: Sequence[str] | None) -> dict[str, int]:
    """The channels of every map that the module reads, by layer; without `layers`, the last map of every size.

    In a ResNet these are the ends of its stages. A net of dense layers has the last of its hidden layers of every width
    in place of maps. Raises UsageError if the net does not have or does not use one of `layers`, or if it has neither
    maps nor hidden layers.
    """
    known = [name for name, _ in net.named_modules() if name]
    for name in layers or ():
        if name not in known:
            raise UsageError(f"strategy.layers: the net has no layer {name!r}; its layers are {', '.join(known)}")
    with outputs(net, layers or known) as seen, torch.enable_grad():
        logits = net(x)
    for name in layers or ():
        if name not in seen:
            raise UsageError(f"strategy.layers: {name!r} is not used in the forward pass; leave it out")
    if layers:
        return {name: seen[name].shape[1] for name in layers}
    # An output that needs no gradient comes before all weights: it is the image itself.
    made = {name: values for name, values in seen.items() if values.requires_grad and values is not logits}
    maps = {name: values for name, values in made.items() if values.ndim > 2}
    last = {values.shape[2:]: name for name, values in maps.items()}
    if not last:
        maps, last = made, {values.shape[1:]: name for name, values in made.items()}
    if not last:
        raise UsageError(
            "learning loss reads feature maps or hidden layers, and this net has none; give strategy.layers or another "
            "model"
        )
    return {name: maps[name].shape[1] for name in last.values()}


def with_ranking(loss: Loss, output: Tensor, y: Tensor, margin: float, weight: float) -> Tensor:
    """`loss` of the logits plus `weight` times the ranking loss of the predicted losses, from [B, Y + 1] and [B]."""
    logits, predicted = output[:, :-1], output[:, -1]
    target = cross_entropy(logits.detach(), y, reduction="none")
    return loss(logits, y) + weight * ranking_loss(predicted, target, margin)


def ranking_loss(predicted: Tensor, target: Tensor, margin: float) -> Tensor:
    """Mean of max(0, -s (p_i - p_j) + margin) over the pairs (i, B + 1 - i), [B] twice (Yoo & Kweon, 2019, eq. 2).

    s is 1 if the target losses have l_i > l_j, else -1. If B is odd, the middle example is in no pair. The loss of a
    single example is 0.
    """
    pairs = len(target) // 2
    if pairs == 0:
        return predicted.sum() * 0
    sign = torch.where(target > target.flip(0), 1.0, -1.0)
    return relu(margin - sign * (predicted - predicted.flip(0)))[:pairs].mean()
