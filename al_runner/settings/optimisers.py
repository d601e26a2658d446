"""The options of torch's optimisers that the presets set."""

from collections.abc import Sequence
from typing import Annotated, TypedDict

from al_runner.settings.kinds import Means, NotNegative, Positive, Share


class OptimiserOptions(TypedDict, total=False):
    """Declared by name. Other options of an optimiser can be set with a + before their name."""

    lr: Annotated[Positive, Means("learning rate")]
    weight_decay: Annotated[
        NotNegative, Means("pull of the weights towards 0; with Adam and SGD, the factor of half their squared norm")
    ]
    momentum: Annotated[Share, Means("share of the last step that is added to the next one")]
    nesterov: Annotated[bool, Means("take the gradient at the point where the momentum leads (SGD)")]
    alpha: Annotated[Share, Means("how slowly the mean squared gradient forgets (RMSprop)")]
    betas: Annotated[Sequence[Share], Means("how slowly the mean and the mean squared gradient forget (Adam)")]
    eps: Annotated[NotNegative, Means("added to the root of the mean squared gradient")]
    fused: Annotated[bool | None, Means("one kernel for all weights: the same steps in less time")]
    foreach: Annotated[bool | None, Means("one operation for all weights: the same steps in less time")]
