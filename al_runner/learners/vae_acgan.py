"""VAE-ACGAN: a classifier trained on generated images and on twins of what was bought (Tran et al., 2019).

N images.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from al_runner.generative import vae_acgan
from al_runner.generative.losses import distances
from al_runner.generative.nets import Bottleneck
from al_runner.generative.parts import WHITE, stored
from al_runner.learners.generating import Generated, Generating
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, NotNegative
from al_runner.types import Fitted, TrainData, mean_log_probs


@dataclass(frozen=True)
class Kept(Generated):
    """A fit, and the twins of bought images that it was trained on.

    It also tells how far a bought image's twin is from it (figure 3), and how informative it is (proposition 2.1).
    """

    x: Tensor  # uint8 [N, C, H, W]
    y: Tensor  # int64 [N]

    def facts(self, x: Tensor, y: Tensor) -> dict[str, float]:
        """What `Generated` tells, and the twins' mean ||x' - x||, a(x'), |a(x') - a(x)| and share with c(x') = y."""
        twins = self.parts.twins(x, y)
        scores = self.scores(stored(twins))
        agreed = mean_log_probs(self.log_probs(stored(twins))).argmax(1) == y
        return super().facts(x, y) | {
            "twin_distance": distances(twins, x / WHITE).mean().item(),
            "twin_score": scores.mean().item(),
            "twin_score_gap": (scores - self.scores(x)).abs().mean().item(),
            "twin_agreement": agreed.double().mean().item(),
        }

    def shown(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """What `Generated` shows, and the twins."""
        return super().shown(x, y) | {"twins": stored(self.parts.twins(x, y))}


@options("learner")
@dataclass(frozen=True)
class VaeAcgan(Generating):
    """A classifier, a generator, a discriminator and an encoder, trained together from scratch in every round.

    In every step the classifier sees a minibatch of what was bought, as many generated images of its labels, and its
    twins x' = g(e(x), y), made anew. With `keep` the training set itself grows too, as in the paper's text: every query
    adds {(x*, y), (x', y)}, where x' is made by the nets of the round before and stays as it is.
    """

    bottleneck: Annotated[  # type: ignore[misc]  # a choice here, where there is an encoder
        Bottleneck,
        Means(
            "how narrow the encoder becomes; demo: one number for an image of 28 x 28 pixels, as in the published demo"
        ),
    ] = "none"
    divergence_weight: Annotated[
        NotNegative, Means("weight of the code's divergence from N(0, 1) in the encoder's loss")
    ] = 1.0
    reconstruction_weight: Annotated[NotNegative, Means("weight of the twins' distance in the generator's loss")] = 0.75
    keep: Annotated[
        bool, Means("keep a twin of every bought image in the training set; a resumed run then does all fits again")
    ] = False

    @property
    def continues(self) -> bool:
        return self.keep

    @property
    def joint(self) -> vae_acgan.VaeAcgan:
        return vae_acgan.VaeAcgan(self.makers, self.latent, self.divergence_weight, self.reconstruction_weight)

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> Kept:
        x, y = data.x[:0], data.y[:0]
        if self.keep and isinstance(previous, Kept):
            bought, labels = data.newest
            twins = stored(previous.parts.twins(bought, labels))
            x, y = torch.cat([previous.x, twins]), torch.cat([previous.y, labels])
        fitted = await super().fit(data.plus(x, y), streams, previous)
        return Kept(**vars(fitted), x=x, y=y)
