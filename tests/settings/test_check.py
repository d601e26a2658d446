"""A configuration against what its parts declare: names are those of the command line, wherever an option stands."""

from typing import Any

import pytest
from configs import composed, names
from omegaconf import DictConfig, OmegaConf, open_dict

from al_runner.errors import UsageError
from al_runner.settings.check import require_options
from al_runner.settings.groups import GROUPS, OPTIONAL


def configuration(*words: str) -> DictConfig:
    cfg = composed(*words)
    with open_dict(cfg):
        del cfg["hydra"]
        cfg.run = OmegaConf.create({"seed": "${seed}"})  # the others need Hydra's own part
    return cfg


def refusal(cfg: DictConfig) -> str:
    with pytest.raises(UsageError) as caught:
        require_options(cfg)
    return str(caught.value)


@pytest.mark.parametrize("group", [group for group in GROUPS if group != "experiment"])
def test_every_choice_passes(group: str) -> None:
    for name in names(group):
        path = ["dataset.path=x"] if name in ("npz", "folder") else []
        require_options(configuration(f"{group}={name}", *path))


@pytest.mark.parametrize("name", names("experiment"))
def test_every_experiment_passes(name: str) -> None:
    require_options(configuration(f"experiment={name}"))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["+foo=3"], "there is no option foo; al-run --help lists all groups and settings"),
        (["+stratgy=random"], "there is no option stratgy; did you mean strategy?"),
        (["strategy=kfac_vfe", "+strategy.gama=3"], "there is no option strategy.gama; did you mean strategy.gamma?"),
        (["+oracle.labels=x.csv"], "--labels needs oracle=person"),
        (["+oracle.classes=[cat,dog]"], "oracle.classes needs oracle=person"),
        (["+learner.foo=3"], "there is no option learner.foo; learner has recipe"),
        (
            ["+training.optimizer.sped=3"],
            "there is no option training.optimizer.sped; training.optimizer has lr, betas",
        ),
        (
            ["+training.optimizer.betas=[0.9,2]"],
            "training.optimizer.betas is [0.9, 2]; it must be a list, each a number",
        ),
        (["training.optimizer.lr=0"], "training.optimizer.lr is 0; it must be above 0"),
        (["training.optimizer.lr=inf"], "training.optimizer.lr is inf; it must be a finite number above 0"),
        (
            ["training.check_every=9223372036854775808"],
            "training.check_every is 9223372036854775808; it must be 1 or more and",
        ),
        (
            ["budget.max_rounds=100000000000000000000"],
            "budget.max_rounds is 100000000000000000000; it must be 0 or more",
        ),
        (
            ["learner=ensemble", "learner.members=100000000000"],
            "learner.members is 100000000000; it must be 1 or more and",
        ),
        (["learner=dropout_tuned", "learner.of.samples=0"], "learner.of.samples is 0; it must be 1 or more"),
        (["experiment=kaeding2016_cifar100", "learner.first.patience=0"], "learner.first.patience is 0; it must be 1"),
        (
            ["training=adam_augmented", "training.augment.pixels=-1"],
            "training.augment.pixels is -1; it must be 0 or more",
        ),
        (["model=mnist_cnn", "model.pool=[1,0]"], "model.pool is [1, 0]; it must be a list, each true or false"),
        (
            ["model=mnist_cnn", "model.hidden=200"],
            "model.hidden is 200; it must be a list, each a whole number, 1 or more",
        ),
        (["pool=label_noise", "pool.share=1"], "pool.share is 1; it must be above 0 and below 1"),
        (["+pool.share=1"], "pool has options, share, but no choice; choose one with pool=..."),
        (["threads=0"], "threads is 0; it must be 1 or more"),
        (
            ["results=[a]"],
            "results is ['a']; it must be text; to give these very characters, quote them twice: al-run "
            "'results=\"[a]\"'",
        ),
        (
            ["dataset=folder", "dataset.path=2024"],
            "dataset.path is 2024; it must be text or null; to give these very characters, quote them twice: al-run "
            "'dataset.path=\"2024\"'",
        ),
        (
            ["dataset=folder", "dataset.path=1e3"],
            "dataset.path is 1000.0; it must be text or null",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_named_by_its_dotted_name(words: list[str], line: str) -> None:
    assert refusal(configuration(*words)).startswith(line)


@pytest.mark.parametrize("group", [group for group in GROUPS if group not in OPTIONAL])
def test_a_group_without_a_choice_is_named(group: str) -> None:
    cfg = configuration()
    with open_dict(cfg):
        cfg[group] = None
    assert refusal(cfg) == f"this run has no {group}; choose one with {group}=... (al-run --help lists them)"


def test_an_option_to_be_set_is_named() -> None:
    cfg = configuration()
    cfg.budget.query = "???"
    assert refusal(cfg) == "budget.query is not set; give it a value with budget.query=..."


def test_what_a_run_is_called_by_is_its_choices() -> None:
    cfg = configuration()
    cfg.run.seed = 7
    assert refusal(cfg).startswith("run.seed can't be set: it is made of the run's own choices")


def test_code_of_others_is_checked_where_its_annotations_are_plain(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "others_strategy.py").write_text("def mine(n: int, how: str, what=None, **more): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    cfg = configuration()
    cfg.strategy = {"_target_": "others_strategy.mine", "n": 3, "how": 5, "what": [1], "anything": {"n": "x"}}
    require_options(cfg)
    cfg.strategy.n = 2.5
    assert refusal(cfg) == "strategy.n is 2.5; it must be a whole number"
