"""Every file in conf/ composes, says what it is, and builds what it names."""

from pathlib import Path

import pytest
import torch
import toy
from configs import CONF, composed, model, models, names
from hydra.utils import instantiate

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.strategies.base import Strategy
from al_runner.training import Recipe


def choices(*overrides: str) -> dict[str, str]:
    return dict(composed(*overrides).hydra.runtime.choices)


@pytest.mark.parametrize("file", sorted(CONF.rglob("*.yaml")), ids=lambda file: str(file.relative_to(CONF)))
def test_the_first_lines_say_what_it_is(file: Path) -> None:
    first, second = file.read_text().splitlines()[:2]
    assert first.startswith("# ")
    if first == "# @package _global_":
        assert second.startswith("# ")


@pytest.mark.parametrize("name", names("strategy"))
def test_every_strategy_builds(name: str) -> None:
    assert isinstance(instantiate(composed(f"strategy={name}").strategy), Strategy)


@pytest.mark.parametrize("name", names("budget"))
def test_every_budget_builds(name: str) -> None:
    assert isinstance(instantiate(composed(f"budget={name}").budget), Budget)


@pytest.mark.parametrize("name", names("pool"))
def test_every_pool_changes_the_training_images(name: str) -> None:
    cfg = composed(f"pool={name}")
    clean = toy.data_set(4000)
    spoilt = instantiate(cfg.pool)(clean)
    parts = ("images", "labels", "train")
    assert any(not torch.equal(getattr(spoilt, part), getattr(clean, part)) for part in parts)
    assert cfg.hydra.runtime.choices.pool == name


@pytest.mark.parametrize("name", names("training"))
def test_every_training_builds_an_optimiser(name: str) -> None:
    recipe = instantiate(composed(f"training={name}").training)
    assert isinstance(recipe, Recipe)
    recipe.optimizer(torch.nn.Linear(2, 2).parameters())


@pytest.mark.parametrize("name", models())
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 16)], ids=str)
def test_every_model_builds_and_predicts(name: str, shape: tuple[int, int, int]) -> None:
    net = instantiate(model(name))(shape, 7)
    assert net(torch.rand(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize("size", [1, 5, 8, 15, 16, 33, 100])
def test_the_small_cnn_fits_any_size(size: int) -> None:
    net = instantiate(composed("model=small_cnn").model)((3, size, size + 1), 4)
    assert net(torch.rand(2, 3, size, size + 1)).shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        ("mnist_cnn", (1, 28, 28), 154780),
        ("usps_cnn", (1, 16, 16), 235680),
        ("beluch2018_s_cnn", (1, 28, 28), 1199882),
        ("beluch2018_k_cnn", (3, 32, 32), 1250858),
        ("resnet18", (3, 32, 32), 11173962),  # of the usual CIFAR code, as are the next
        ("preact_resnet18", (3, 32, 32), 11171146 + 2 * 512),  # and the last BatchNorm, which that code leaves out
        ("densenet", (3, 32, 32), 769162),  # Huang et al.'s 0.8 million
        ("vgg16", (3, 32, 32), 14728266 - 4224),  # no biases before BatchNorm
        ("vgg16_dropout", (3, 32, 32), 14991946 - 4224 - 512),
        ("airbench", (3, 32, 32), 1970488 + 1152),  # weights and first biases 1.97 million; BatchNorm's shifts
    ],
)
def test_the_paper_s_nets_have_the_paper_s_size(name: str, shape: tuple[int, int, int], parameters: int) -> None:
    net = instantiate(composed(f"model={name}").model)(shape, 10)
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == parameters


def test_half_the_width_is_half_the_filters_and_units() -> None:
    net = instantiate(composed("model=beluch2018_k_cnn", "model.width=0.5").model)((3, 32, 32), 10)
    wide = [layer.weight.shape[0] for layer in net if hasattr(layer, "weight")]
    assert wide == [16, 16, 32, 32, 256, 10]
    with pytest.raises(UsageError, match=r"model\.width is 0"):
        instantiate(composed("model=beluch2018_k_cnn", "model.width=0").model)((3, 32, 32), 10)


@pytest.mark.parametrize("name", names("dataset"))
def test_a_data_set_brings_its_own_model_training_and_budget(name: str) -> None:
    chosen = choices(f"dataset={name}")
    assert {chosen["model"], chosen["training"], chosen["budget"]}.isdisjoint({None, ""})
    overridden = choices(f"dataset={name}", "model=usps_cnn", "budget=cifar", "training=ducoffe2017")
    assert (overridden["model"], overridden["budget"], overridden["training"]) == ("usps_cnn", "cifar", "ducoffe2017")


def test_usps_is_the_paper_s_experiment() -> None:
    cfg = composed("dataset=usps")
    chosen = cfg.hydra.runtime.choices
    assert (chosen.model, chosen.training, chosen.budget) == ("usps_cnn", "adam8", "usps")
    assert (cfg.budget.initial, cfg.budget.query, cfg.budget.max_labelled, cfg.budget.candidates) == (8, 8, 1255, "30x")
    assert (cfg.training.batch_size, cfg.training.optimizer.lr) == (8, 0.001)


@pytest.mark.parametrize(("figure", "minibatch"), [(1, 64), (2, 8)])
def test_the_published_code_s_training_is_all_that_differs_from_the_figure(figure: int, minibatch: int) -> None:
    text, code = (composed(f"experiment=ducoffe2017_figure{figure}{suffix}") for suffix in ("", "_code"))
    both = text.hydra.runtime.choices, code.hydra.runtime.choices
    assert {group for group in both[0] if both[0][group] != both[1][group]} == {"experiment", "training"}
    keys = {key for key in text if key not in ("hydra", "run", "training", "learner")}  # a learner holds its training
    assert all(text[key] == code[key] for key in keys) and {"budget", "dataset", "model", "strategy"} <= keys
    recipe = instantiate(code.training)
    assert recipe.batch_size == code.budget.query == code.budget.initial == minibatch  # a purchase is a minibatch
    assert (recipe.reshuffle, recipe.same_init, code.budget.candidates) == (False, True, "30x")
    assert recipe.optimizer(torch.nn.Linear(2, 2).parameters()).__class__ is torch.optim.RMSprop


@pytest.mark.parametrize("name", names("experiment"))
def test_every_preset_has_its_row_among_the_papers_figures_and_says_what_differs(name: str) -> None:
    """docs/fidelity.md names it; its own comment has the command, and what differs unless the protocol is ours."""
    page = (CONF.parent / "docs" / "fidelity.md").read_text()
    assert f"`{name}`" in page or f"`{name} " in page
    comment = [line for line in (CONF / "experiment" / f"{name}.yaml").read_text().splitlines() if line.startswith("#")]
    assert any("al-run -m experiment=" in line or "scripts/" in line for line in comment)
    assert name.startswith("compare_") or any(
        line.startswith(("# Other than in the", "# Smaller than in the", "# What is from the code")) for line in comment
    )


@pytest.mark.parametrize("name", names("experiment"))
def test_an_experiment_composes_and_the_command_line_has_the_last_word(name: str) -> None:
    assert choices(f"experiment={name}")["dataset"] != "digits"
    overridden = choices(f"experiment={name}", "dataset=svhn", "budget=small", "model=small_cnn")
    assert (overridden["dataset"], overridden["budget"], overridden["model"]) == ("svhn", "small", "small_cnn")


def test_class_discovery_knows_other_classes_in_every_run() -> None:
    cfg = composed("experiment=kaeding2016_cifar100", "seed=3")
    assert (cfg.pool.seed, cfg.pool.known, cfg.budget.known, cfg.budget.sets) == (3, 10, 10, 1000)
    assert isinstance(instantiate(cfg.learner.first), Recipe)


def test_a_strategy_of_the_user_s_own_needs_no_code_here(tmp_path: Path) -> None:
    """--config-dir adds a search path; here the same through Hydra's own override."""
    (tmp_path / "strategy").mkdir()
    (tmp_path / "strategy" / "mine.yaml").write_text("_target_: al_runner.strategies.random.Random\n")
    cfg = composed("strategy=mine", f"hydra.searchpath=[file://{tmp_path}]")
    assert isinstance(instantiate(cfg.strategy), Strategy)
