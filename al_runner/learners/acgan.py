"""Bayesian data augmentation: a classifier trained on images of a generator as well (Tran et al., 2017)."""

from dataclasses import dataclass

from al_runner.generative import acgan
from al_runner.learners.generating import Generating
from al_runner.settings.declare import options


@options("learner")
@dataclass(frozen=True)
class Acgan(Generating):
    """A classifier, a generator and a discriminator, trained together from scratch in every round.

    In every step the classifier sees a minibatch of what was bought, and as many generated images of its labels.
    """

    @property
    def joint(self) -> acgan.Acgan:
        return acgan.Acgan(self.makers, self.latent)
