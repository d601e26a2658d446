"""A training that favours rare classes is refused where no net is trained by it."""

import pytest
from hydra import compose, initialize_config_dir

from al_runner.errors import UsageError
from al_runner.job.build import require_favourable
from al_runner.settings.groups import conf_dir


@pytest.mark.parametrize("option", ["+training.class_weights=balanced", "+training.minibatches=balanced"])
@pytest.mark.parametrize("learner", ["plain", "dropout_tuned", "acgan", "fine_tuned", "linear_svm", "harmonic"])
def test_only_a_learner_that_trains_by_the_recipe_can_favour_rare_classes(learner: str, option: str) -> None:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("config", [f"learner={learner}", f"run.learner={learner}", option])
    if learner in ("linear_svm", "harmonic"):
        with pytest.raises(UsageError, match=f"learner={learner} does not train by training=, so .* leave them out"):
            require_favourable(cfg)
    else:
        require_favourable(cfg)
