"""A training that favours rare classes is refused where no net is trained by it."""

import configs
import pytest
import toy
from hydra.utils import instantiate

from al_runner.errors import UsageError
from al_runner.job.recipe import require_favourable
from al_runner.models.inputs import net_builder


@pytest.mark.parametrize("option", ["training.class_weights=balanced", "training.minibatches=balanced"])
@pytest.mark.parametrize("learner", configs.names("learner"))
def test_only_a_learner_that_trains_by_the_recipe_can_favour_rare_classes(learner: str, option: str) -> None:
    cfg = configs.composed(f"learner={learner}", f"+{option}")
    made = instantiate(cfg.learner, _partial_=True)(build=net_builder(toy.data_set(), toy.model))
    recipe = instantiate(cfg.training)
    if learner in ("linear_svm", "harmonic"):
        with pytest.raises(UsageError, match=f"learner={learner} does not train by training=, so .* leave them out"):
            require_favourable(recipe, made, f"learner={learner}")
    else:
        require_favourable(recipe, made, f"learner={learner}")
