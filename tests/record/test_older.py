"""Configurations of earlier versions are read as this version would have recorded them."""

from al_runner.record.identity import all_settings
from al_runner.record.older import renewed


def test_a_class_that_moved_is_the_same_class() -> None:
    old = {"training._target_": "al_runner.types.Recipe", "oracle.recipe._target_": "al_runner.types.Recipe", "seed": 3}
    new = {"training._target_": "al_runner.training.Recipe", "oracle.recipe._target_": "al_runner.training.Recipe"}
    assert renewed(old) == {**new, "seed": 3, "standardise": True}
    assert renewed(renewed(old)) == renewed(old)


def test_options_that_were_renamed_or_came_later() -> None:
    assert renewed({"budget.balanced": True}) == {"budget.initial_by": "balanced", "standardise": True}
    assert renewed({"budget.balanced": False}) == {"budget.initial_by": "random", "standardise": True}
    assert renewed({"standardise": False}) == {"standardise": False}
    added = {"dataset._target_": "al_runner.data.npz.npz"}
    assert renewed(added) == {**added, "dataset.values": "uint8", "standardise": True}
    assert renewed({**added, "dataset.values": "float"})["dataset.values"] == "float"
    probe = {"model._target_": "al_runner.models.linear_probe.linear_probe"}
    assert renewed(probe)["model.batch_norm"] is True
    assert renewed({**probe, "model.batch_norm": False})["model.batch_norm"] is False
    assert renewed({"model._target_": "al_runner.models.ducoffe2017.cnn"})["model.channels"] == 20
    tuned = {"learner._target_": "al_runner.learners.fine_tuned.FineTuned"}
    assert renewed({**tuned, **added})["learner.keep_optimizer"] is False
    assert renewed({**tuned, "learner.keep_optimizer": True})["learner.keep_optimizer"] is True
    assert (renewed(tuned)["learner.shrink"], renewed(tuned)["learner.perturb"]) == (1.0, 0.0)
    assert renewed({**tuned, "learner.shrink": 0.6})["learner.shrink"] == 0.6


def test_a_run_from_before_an_option_of_the_budget_goes_on_with_the_option_s_default() -> None:
    old = {"budget": {"_target_": "al_runner.budget.Budget", "initial": 10, "query": 10}}
    same = {"budget": {**old["budget"], "val_share": None}}
    assert all_settings(old) == all_settings(same)
    assert all_settings(old) != all_settings({"budget": {**old["budget"], "val_share": 0.2}})
