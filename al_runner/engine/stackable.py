"""Which fits may be trained as one stack."""

from collections.abc import Sequence

import torch

from al_runner.engine.parts import initial_net
from al_runner.engine.stack import Stack
from al_runner.training import Fit

# These update every number of a parameter independently, so a stack of nets can be one large parameter.
ELEMENTWISE = {
    *(torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam, torch.optim.RAdam, torch.optim.Adamax),
    *(torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.Adadelta, torch.optim.Rprop, torch.optim.ASGD),
}

# The steps of these are not proportional to the learning rate, so a stack can't use them with a schedule.
UNSCHEDULED = {torch.optim.Rprop, torch.optim.ASGD}


def kind(fit: Fit) -> str:
    """A text that is equal for fits of one architecture, recipe and loss; it is made of their reprs."""
    return f"{fit.build!r} {fit.recipe!r} {fit.loss!r} {fit.joint!r}"


def alone_by_itself(fit: Fit) -> str | None:
    """Why a fit asks for something that no stack can do; None if it does not."""
    if fit.joint is not None:
        return "the learner takes steps of its own"
    return None if fit.optimizer_state is None else "each optimiser goes on from a state of its own"


@torch.no_grad()
def obstacle(fits: Sequence[Fit]) -> str | None:
    """Why these fits of one kind can't be stacked; None if they can. It tries one minibatch of two of the fits."""
    if (asked := alone_by_itself(fits[0])) is not None:
        return asked
    pair = [first_minibatch(fit) for fit in (fits[0], fits[-1])]
    alone = [initial_net(fit) for fit in pair]
    optimizer = pair[0].recipe.optimizer(alone[0].parameters())
    if type(optimizer) not in ELEMENTWISE or len(optimizer.param_groups) > 1:
        return f"{type(optimizer).__name__} does not update every weight independently"
    if pair[0].recipe.schedule is not None and type(optimizer) in UNSCHEDULED:
        return f"{type(optimizer).__name__} can't follow a schedule: its steps are not proportional to the rate"
    try:
        stacked = Stack(pair).forward(torch.stack([fit.data.x for fit in pair]))
    except (RuntimeError, ValueError) as error:
        return str(error).partition("\n")[0]
    apart = torch.stack([net(fit.data.x) for net, fit in zip(alone, pair, strict=True)])
    if not torch.allclose(stacked, apart, rtol=1e-3, atol=1e-3 * float(apart.abs().max())):
        return "a layer gives another output in a stack than alone"
    return None


def first_minibatch(fit: Fit) -> Fit:
    """The same fit with only its first minibatch of images."""
    x, y = fit.data.x[: fit.recipe.batch_size], fit.data.y[: fit.recipe.batch_size]
    return fit._replace(data=fit.data._replace(x=x, y=y))
