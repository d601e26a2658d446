"""Expected gradient length (Settles & Craven, 2008): choose images whose labels would move the weights most.

N examples, Y classes; a layer's block has t positions, i inputs, o outputs.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from al_runner.fisher import LayerSamples, capture, treatable_layers
from al_runner.fisher.capture import captured_parts, expected_losses
from al_runner.fisher.inner_products import at_one_position
from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.strategies.base import ByScore
from al_runner.strategies.ranges import finite
from al_runner.system.chunks import in_parts, rows_within
from al_runner.types import Fitted

POSITIONS = 1024  # the most images times classes in one pass; fewer if the images are large


@options("strategy")
@dataclass(frozen=True)
class Egl(ByScore):
    """The candidates with the largest sum_y p(y | x) ||grad -ln p(y | x)||, gradients with respect to all weights."""

    skip_untreated: Annotated[
        bool, Means("leave out layers that give no gradient for a single image; false: refuse a net with such layers")
    ] = False
    needs: ClassVar[Needs] = Needs(network=True)
    at_least_0: ClassVar[bool] = True

    def check(self, net: nn.Module, x: Tensor) -> None:
        capture(net, x, skip_untreated=self.skip_untreated)

    def scores(self, fitted: Fitted, pool: Pool, ids: Tensor, rng: torch.Generator) -> Tensor:
        return finite(expected_lengths(fitted.network(), pool.x(ids), self.skip_untreated), "a gradient")


def expected_lengths(net: nn.Module, x: Tensor, skip_untreated: bool = False) -> Tensor:
    """Expectation of the gradient's L2 norm over the net's own prediction, [N, ...] -> [N].

    It takes Y backward passes. Raises UsageError for a layer without a Fisher block, unless `skip_untreated`.
    """
    with torch.no_grad():
        classes = net(x[:1]).shape[1]
    return torch.cat([_lengths(net, part, skip_untreated) for part in in_parts(x, rows_within(POSITIONS, classes))])


def _lengths(net: nn.Module, x: Tensor, skip_untreated: bool) -> Tensor:
    with torch.no_grad():
        p = net(x).softmax(1)
    squares: dict[str, list[Tensor]] = {}
    for name, part in captured_parts(net, x, expected_losses, treatable_layers(net, skip_untreated), skip_untreated):
        squares.setdefault(name, []).append(squared_norms(part))
    total = torch.stack([torch.cat(parts) for parts in squares.values()]).sum(0)
    # The gradients of a class are multiplied by sqrt(Y p), so their squared norms are Y p ||g||^2.
    lengths: Tensor = (total * p / p.shape[1]).sqrt().sum(1)
    return lengths


def squared_norms(part: LayerSamples) -> Tensor:
    """||sum_t g_t a_t'||^2, the squared norm of a block's gradient for every class, [N, t, i], [N, Y t, o] -> [N, Y].

    It is computed as sum_st (g_s' g_t) (a_s' a_t) if that is less work than the gradient itself, [N, Y, o, i].
    """
    a, g = part.inputs, part.gradients.unflatten(1, (-1, part.inputs.shape[1]))
    if a.shape[1] ** 2 <= a.shape[2] * g.shape[3]:
        products: Tensor = (g @ g.mT) * (a @ a.mT)[:, None]
        return products.sum((2, 3)).clamp_min(0)
    return at_one_position(part).gradients.square().sum(2)
