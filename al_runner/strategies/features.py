"""The features and logits that a net gives for images of the pool; strategies choose by them."""

import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.models.dense import inputs_of, last_dense
from al_runner.models.mirrored import Mirrored
from al_runner.pool import Pool
from al_runner.strategies.ranges import finite
from al_runner.system.chunks import chunks, rows_in_parts
from al_runner.types import Fitted, mean_log_probs

CHUNK = 8192  # images read at once; fewer if they are large


def ids_in_parts(pool: Pool, ids: Tensor, count: int = CHUNK) -> tuple[Tensor, ...]:
    """The ids in parts of `count`, or of fewer if the images are large; the images of a part are read at once."""
    return rows_in_parts(ids, count, pool.x(ids[:1]).numel())


def features_of(fitted: Fitted, pool: Pool, ids: Tensor) -> Tensor:
    """The inputs of the net's last dense layer for the images `ids`, [N, D].

    Raises ArithmeticError if a value is not finite.
    """
    return finite(torch.cat([fitted.features(pool.x(part)) for part in ids_in_parts(pool, ids)]), "a feature")


def mean_log_probs_of(fitted: Fitted, pool: Pool, ids: Tensor) -> Tensor:
    """The log of the mean prediction for the images `ids`, [N, Y], which are read a part at a time."""
    return torch.cat([mean_log_probs(fitted.log_probs(pool.x(part))) for part in ids_in_parts(pool, ids)])


def head_of(net: nn.Module) -> nn.Linear:
    """The layer that turns `features_of` into logits, of a net that `require_head` has let pass."""
    head = last_dense(net)
    assert head is not None  # Strategy.check refuses a net without one
    return head


def require_head(name: str, net: nn.Module, x: Tensor) -> None:
    """Raises UsageError unless the net's last dense layer, which it has, gives its logits for images like `x`.

    `x` is [2, C, H, W], and `name` is the strategy that needs this. Test-time flips are left aside.
    """
    net = net.net if isinstance(net, Mirrored) else net
    head = head_of(net)
    features, logits = inputs_of(head, net, x), net(x)
    if features.shape[1] != head.in_features or not torch.allclose(head(features), logits, 1e-3, 1e-4):
        raise UsageError(
            f"{name} needs a net whose last dense layer gives the logits, and this net changes what the layer gives; "
            "do that before the layer, or choose strategy=badge"
        )


@torch.inference_mode()
def outputs_of(fitted: Fitted, pool: Pool, ids: Tensor) -> Tensor:
    """One net's logits for the images `ids`, [N, Y]; raises ArithmeticError if a value is not finite."""
    net = fitted.network()
    return finite(torch.cat([net(x) for part in ids_in_parts(pool, ids) for x in chunks(pool.x(part))]), "an output")
