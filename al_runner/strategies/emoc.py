"""Expected model output change (Kaeding et al., 2016): images whose label would move the net's outputs most.

N candidates, E images that outputs are taken of, G gradients of one pass, M sets of K images, Y classes.
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
from al_runner.fisher.capture import label_loss, samples
from al_runner.fisher.inner_products import gradients, inner_products, numbers
from al_runner.fisher.layers import Layer
from al_runner.needs import Needs
from al_runner.pool import Pool, shuffled
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means
from al_runner.strategies.base import Strategy
from al_runner.strategies.ranges import finite
from al_runner.types import Fitted, mean_log_probs, rows_within

Params = dict[str, Tensor]
OUTPUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "logits": lambda logits: logits,
    "probabilities": lambda logits: logits.softmax(1),
}
KEPT = {"cuda": 2**29, "cpu": 2**27}  # numbers held at a time, of either side's gradients and of products: 2 GB, 0.5 GB
GRADIENTS = 16  # taken at a time in forward mode, G
IMAGES = {"cuda": 512, "cpu": 64}  # whose changes they make are taken at a time there


@options("strategy")
@dataclass(frozen=True)
class Emoc(Strategy):
    """The candidates, or the set of candidates, that change the outputs most if they have their likeliest label.

    A set's score is the sum over its images, which all have the label that is likeliest for the whole set.
    """

    images: Annotated[
        Count | None, Means("images, drawn anew in every round, that outputs are compared on; null: all")
    ] = 500
    outputs: Annotated[Literal["logits", "probabilities"], Means("the outputs whose change counts")] = "logits"
    chooses_sets: ClassVar[bool] = True
    needs: ClassVar[Needs] = Needs(network=True)

    @property
    def draws(self) -> bool:
        return self.images is not None

    def check(self, net: nn.Module, x: Tensor) -> None:
        try:
            output_changes(net, x, torch.zeros(len(x), dtype=torch.int64, device=x.device), x, self.outputs)
        except (RuntimeError, NotImplementedError) as error:
            line = str(error).partition("\n")[0]
            raise UsageError(f"EMOC takes forward-mode derivatives, which this net has not: {line}") from error

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        net, known = fitted.network(), torch.cat([pool.labelled, pool.unlabelled])
        over = pool.x(shuffled(known, rng)[: self.images])
        labels = set_labels(fitted, pool)[:, None].expand_as(pool.sets)
        pairs, where = torch.stack([pool.sets, labels], 2).flatten(0, 1).unique(dim=0, return_inverse=True)
        changes = output_changes(net, pool.x(pairs[:, 0]), pairs[:, 1], over, self.outputs)
        return pool.best(finite(changes, "an output's change")[where].view(pool.sets.shape).sum(1), n)


def set_labels(fitted: Fitted, pool: Pool) -> Tensor:
    """Of every set the class that all its images share most likely, the highest product of probabilities, [M]."""
    log_probs = mean_log_probs(fitted.log_probs(pool.x(pool.candidates)))
    return torch.stack([pool.over_sets(of_class) for of_class in log_probs.unbind(1)], 1).argmax(1)


def output_changes(net: nn.Module, x: Tensor, y: Tensor, over: Tensor, outputs: str = "logits") -> Tensor:
    """Mean over e of ||J_e grad L(x, y)||_1, J_e the Jacobian of e's output by all weights, [N], [N], [E] -> [N].

    Eq. 5 without the sum over a set; L is the cross-entropy in nats. By layers where the net's layers have Fisher
    blocks and one image's Jacobian can be held, in forward mode otherwise.
    """
    layers = layers_of_all_weights(net, x[:1])
    if layers and numbers(net, over[:1], output_sums(outputs), layers) <= KEPT[size_class(x)]:
        return changes_by_layers(net, x, y, over, outputs, layers)
    return changes_in_forward_mode(net, x, y, over, outputs)


def size_class(x: Tensor) -> str:
    """Which of the sizes above holds where `x` is."""
    return "cuda" if x.is_cuda else "cpu"


def layers_of_all_weights(net: nn.Module, x: Tensor) -> dict[str, Layer]:
    """The layers that together hold all weights that are trained, and only these; none where there are no such."""
    trained = {weight for weight in net.parameters() if weight.requires_grad}
    try:
        layers = {
            name: layer for name, layer in treatable_layers(net).items() if trained.intersection(layer.parameters())
        }
        list(samples(net, x, label_loss(None), layers))
    except UsageError:
        return {}
    own = {weight for layer in layers.values() for weight in layer.parameters()}
    return layers if own == trained else {}


def output_sums(outputs: str) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """From logits [n, Y] every class's output, summed over the images."""
    return lambda logits: OUTPUTS[outputs](logits).sum(0).unbind()


def changes_by_layers(
    net: nn.Module, x: Tensor, y: Tensor, over: Tensor, outputs: str, layers: dict[str, Layer]
) -> Tensor:
    """`output_changes` from the inner products of every candidate's gradient with every output's, layer by layer."""
    sums, kept = output_sums(outputs), KEPT[size_class(x)]
    at_once = min(len(x), kept // numbers(net, x[:1], label_loss(y[:1]), layers))
    classes = net(over[:1]).shape[1]
    images = rows_within(kept, max(numbers(net, over[:1], sums, layers), classes * at_once))
    found = []
    for few, labels in zip(x.split(at_once), y.split(at_once), strict=True):
        by_label = gradients(net, few, label_loss(labels), layers)
        products = (inner_products(gradients(net, part, sums, layers), by_label) for part in over.split(images))
        found.append(torch.stack([product.abs().sum((0, 1)) for product in products]).sum(0) / len(over))
    return torch.cat(found)


def changes_in_forward_mode(net: nn.Module, x: Tensor, y: Tensor, over: Tensor, outputs: str) -> Tensor:
    """`output_changes` by one forward-mode product a candidate and image."""
    weights = {name: weight.detach() for name, weight in net.named_parameters() if weight.requires_grad}

    def output(weights: Params, x: Tensor) -> Tensor:
        logits: Tensor = functional_call(net, weights, (x,))
        return logits

    def loss(weights: Params, x: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(output(weights, x[None]), y[None])

    def change(part: Tensor, gradient: Params) -> Tensor:
        moved: Tensor = jvp(lambda w: OUTPUTS[outputs](output(w, part)), (weights,), (gradient,))[1]
        return moved.abs().sum()

    found = []
    for images, labels in zip(x.split(GRADIENTS), y.split(GRADIENTS), strict=True):
        steps = vmap(grad(loss), (None, 0, 0))(weights, images, labels)
        parts = over.split(IMAGES[size_class(x)])
        found.append(torch.stack([vmap(partial(change, part))(steps) for part in parts]).sum(0) / len(over))
    return torch.cat(found)
