"""Expected model output change, EMOC (Kaeding et al., 2016): choose images whose labels would move the outputs most.

N candidates, E images whose outputs are compared, G gradients in one pass, M sets of K images, Y classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.functional import cross_entropy

from al_runner.errors import UsageError
from al_runner.fisher import treatable_layers
from al_runner.fisher.capture import captured_parts, joined, label_loss
from al_runner.fisher.inner_products import gradient_size, gradients, inner_products, numbers_in
from al_runner.fisher.layers import Layer
from al_runner.needs import Needs
from al_runner.pool import Pool, shuffled
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means
from al_runner.strategies.base import Strategy
from al_runner.strategies.ranges import finite
from al_runner.system.chunks import in_parts, rows_within
from al_runner.types import Fitted, mean_log_probs

Params = dict[str, Tensor]
OUTPUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "logits": lambda logits: logits,
    "probabilities": lambda logits: logits.softmax(1),
}
# The most numbers in the gradients of either side, or in their products, at once: 2 GB, 1 GB.
MAX_NUMBERS = {"cuda": 2**29, "cpu": 2**28}
GRADIENTS = 16  # G, gradients of candidates at once in forward mode
IMAGES = {"cuda": 512, "cpu": 64}  # images whose outputs they change at once in forward mode; fewer if they are large


@options("strategy")
@dataclass(frozen=True)
class Emoc(Strategy):
    """The candidates, or the set of candidates, that change the outputs most if they get their most likely label.

    The score of a set is the sum of its images' scores; all of them get the label that is most likely for the set.
    """

    images: Annotated[
        Count | None, Means("images whose outputs are compared, drawn again in every round; null: all images")
    ] = 500
    outputs: Annotated[Literal["logits", "probabilities"], Means("the outputs whose change counts")] = "logits"
    chooses_sets: ClassVar[bool] = True
    needs: ClassVar[Needs] = Needs(network=True)

    @property
    def draws(self) -> bool:
        return self.images is not None

    def check(self, net: nn.Module, x: Tensor) -> None:
        if not any(weight.requires_grad for weight in net.parameters()):
            raise UsageError(
                f"{self.name} needs derivatives by weights, and all are frozen; net.requires_grad_() frees them"
            )
        try:
            output_changes(net, x, torch.zeros(len(x), dtype=torch.int64, device=x.device), x, self.outputs)
        except (RuntimeError, NotImplementedError) as error:
            line = str(error).partition("\n")[0]
            raise UsageError(
                f"EMOC needs forward-mode derivatives, and this net has none; choose another model= ({line})"
            ) from error

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        net, every_id = fitted.network(), torch.cat([pool.labelled, pool.unlabelled])
        over = pool.x(shuffled(every_id, rng)[: self.images])
        labels = set_labels(fitted, pool)[:, None].expand_as(pool.sets)
        pairs, where = torch.stack([pool.sets, labels], 2).flatten(0, 1).unique(dim=0, return_inverse=True)
        changes = output_changes(net, pool.x(pairs[:, 0]), pairs[:, 1], over, self.outputs)
        return pool.best(finite(changes, "an output's change")[where].view(pool.sets.shape).sum(1), n)


def set_labels(fitted: Fitted, pool: Pool) -> Tensor:
    """For every set, the class with the highest product of its images' probabilities, [M]."""
    log_probs = mean_log_probs(fitted.log_probs(pool.x(pool.candidates)))
    return torch.stack([pool.over_sets(of_class) for of_class in log_probs.unbind(1)], 1).argmax(1)


def output_changes(net: nn.Module, x: Tensor, y: Tensor, over: Tensor, outputs: str = "logits") -> Tensor:
    """Mean over e in `over` of ||J_e grad L(x, y)||_1, where J_e is the Jacobian of e's output; [N], [N], [E] -> [N].

    It is eq. 5 without the sum over a set; L is the cross-entropy in nats, and derivatives are with respect to all
    weights. It is computed layer by layer if all layers have Fisher blocks and one image's Jacobian fits into memory,
    and in forward mode otherwise.
    """
    layers = layers_of_all_weights(net, x[:1])
    if layers and gradient_size(net, over[:1], output_sums(outputs), layers) <= MAX_NUMBERS[size_class(x)]:
        return changes_by_layers(net, x, y, over, outputs, layers)
    return changes_in_forward_mode(net, x, y, over, outputs)


def size_class(x: Tensor) -> str:
    """The key of MAX_NUMBERS and IMAGES for the device of `x`."""
    return "cuda" if x.is_cuda else "cpu"


def layers_of_all_weights(net: nn.Module, x: Tensor) -> dict[str, Layer]:
    """The layers with Fisher blocks, if together they hold exactly all trained weights; else an empty dict."""
    trained = {weight for weight in net.parameters() if weight.requires_grad}
    try:
        layers = {
            name: layer for name, layer in treatable_layers(net).items() if trained.intersection(layer.parameters())
        }
        list(captured_parts(net, x, label_loss(None), layers))
    except UsageError:
        return {}
    own = {weight for layer in layers.values() for weight in layer.parameters()}
    return layers if own == trained else {}


def output_sums(outputs: str) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """A function from logits [n, Y] to the output of every class, summed over the images."""
    return lambda logits: OUTPUTS[outputs](logits).sum(0).unbind()


def changes_by_layers(
    net: nn.Module, x: Tensor, y: Tensor, over: Tensor, outputs: str, layers: dict[str, Layer]
) -> Tensor:
    """`output_changes`, computed layer by layer as inner products of the candidates' and the outputs' gradients.

    As many gradients of candidates as fit stay in memory; those of the outputs are formed anew for the next candidates.
    To form a gradient takes several times its own memory, so the candidates' gradients are formed in smaller parts.
    """
    sums, most = output_sums(outputs), MAX_NUMBERS[size_class(x)]
    at_once = min(len(x), rows_within(most, numbers_in(gradients(net, x[:1], label_loss(y[:1]), layers))))
    formed = rows_within(most, gradient_size(net, x[:1], label_loss(y[:1]), layers))
    classes = net(over[:1]).shape[1]
    images = rows_within(most, max(gradient_size(net, over[:1], sums, layers), classes * at_once))
    changes = []
    for some_x, some_y in zip(x.split(at_once), y.split(at_once), strict=True):
        parts = zip(some_x.split(formed), some_y.split(formed), strict=True)
        by_label = joined(
            block for part, labels in parts for block in gradients(net, part, label_loss(labels), layers).items()
        )
        products = (inner_products(gradients(net, part, sums, layers), by_label) for part in over.split(images))
        changes.append(torch.stack([product.abs().sum((0, 1)) for product in products]).sum(0) / len(over))
    return torch.cat(changes)


def changes_in_forward_mode(net: nn.Module, x: Tensor, y: Tensor, over: Tensor, outputs: str) -> Tensor:
    """`output_changes`, computed with one forward-mode product for each candidate and image."""
    weights = {name: weight.detach() for name, weight in net.named_parameters() if weight.requires_grad}

    def output(weights: Params, x: Tensor) -> Tensor:
        logits: Tensor = functional_call(net, weights, (x,))
        return logits

    def loss(weights: Params, x: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(output(weights, x[None]), y[None])

    def change(part: Tensor, gradient: Params) -> Tensor:
        moved: Tensor = jvp(lambda w: OUTPUTS[outputs](output(w, part)), (weights,), (gradient,))[1]
        return moved.abs().sum()

    changes = []
    for images, labels in zip(x.split(GRADIENTS), y.split(GRADIENTS), strict=True):
        steps = vmap(grad(loss), (None, 0, 0))(weights, images, labels)
        parts = in_parts(over, IMAGES[size_class(x)])
        changes.append(torch.stack([vmap(partial(change, part))(steps) for part in parts]).sum(0) / len(over))
    return torch.cat(changes)
