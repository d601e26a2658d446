"""Which fits may be trained as one stack."""

from collections.abc import Sequence

import torch

from al_runner.engine.parts import initial_net
from al_runner.engine.stack import Stack
from al_runner.types import Fit

# They treat every number of a parameter for itself, so that a stack of nets is one large parameter to them.
ELEMENTWISE = {
    *(torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam, torch.optim.RAdam, torch.optim.Adamax),
    *(torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.Adadelta, torch.optim.Rprop, torch.optim.ASGD),
}

# Of these, not in proportion to a learning rate that changes, which a stack counts on.
UNSCHEDULED = {torch.optim.Rprop, torch.optim.ASGD}


def kind(fit: Fit) -> str:
    """Equal for fits of one architecture and one recipe; the repr of a function or a class names it."""
    return f"{fit.build!r} {fit.recipe!r} {fit.loss!r} {fit.joint!r}"


@torch.no_grad()
def obstacle(fits: Sequence[Fit]) -> str | None:
    """Why these fits of one kind can't be stacked, None where they can: it is tried on one minibatch of two of them."""
    if fits[0].joint is not None:
        return "several parts of the net are trained by losses of their own"
    some = [first_minibatch(fit) for fit in (fits[0], fits[-1])]
    alone = [initial_net(fit) for fit in some]
    optimizer = some[0].recipe.optimizer(alone[0].parameters())
    if type(optimizer) not in ELEMENTWISE or len(optimizer.param_groups) > 1:
        return f"{type(optimizer).__name__} does not treat every weight for itself"
    if some[0].recipe.schedule is not None and type(optimizer) in UNSCHEDULED:
        return f"{type(optimizer).__name__} does not follow a schedule in proportion"
    try:
        stacked = Stack(some).forward(torch.stack([fit.data.x for fit in some]))
    except (RuntimeError, ValueError) as error:
        return str(error).partition("\n")[0]
    apart = torch.stack([net(fit.data.x) for net, fit in zip(alone, some, strict=True)])
    if not torch.allclose(stacked, apart, rtol=1e-3, atol=1e-3 * float(apart.abs().max())):
        return "a layer's output is another in a stack"
    return None


def first_minibatch(fit: Fit) -> Fit:
    """The same fit on its first minibatch of images alone."""
    x, y = fit.data.x[: fit.recipe.batch_size], fit.data.y[: fit.recipe.batch_size]
    return fit._replace(data=fit.data._replace(x=x, y=y))
