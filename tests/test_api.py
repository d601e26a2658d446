"""al-runner from Python: runs, folders, nets, choices."""

import csv
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy
from command import ENVIRONMENT, Command, finished
from labelled import fill, photos, run_folder, words
from standin import StandIn
from torch import Tensor, nn

import al_runner
from al_runner.api.compose import value_of
from al_runner.api.export import labels_of
from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.labels import UNKNOWN
from al_runner.loop.set_aside import new_pool
from al_runner.pool import Pool
from al_runner.settings.groups import conf_dir
from al_runner.strategies.base import Strategy
from al_runner.types import Fitted

QUICK = {"model": "usps_cnn", "budget.max_rounds": 2, "training.max_checks": 2, "training.check_every": 8}
STRATEGIES = sorted(file.stem for file in (conf_dir() / "strategy").glob("*.yaml"))
FAST = {
    "discriminative": {"mini_queries": 2, "recipe.max_checks": 2},
    "refine": {"batches": 9, "levels": 2},
    "vaal": {"recipe.check_passes": 2},
}


def kind_of(name: str) -> str:
    """The strategy without the size in its name."""
    return re.sub("_(28|512|full)$", "", name)


def test_the_import_is_light() -> None:
    probe = (
        "import al_runner, sys; print([name for name in ('torch', 'hydra', 'numpy', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], env=ENVIRONMENT, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_the_names_are_functions() -> None:
    assert callable(al_runner.run)
    assert callable(al_runner.sweep)
    with pytest.raises(AttributeError, match="no attribute 'walk'"):
        _ = al_runner.walk
    with pytest.raises(UsageError, match="-m is a flag of the command line"):
        al_runner.run("-m", "strategy=random")


def test_a_run(tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    options = {**QUICK, "results": tmp_path, "save_weights": "all"}
    run = al_runner.run("strategy=margin", "dataset=digits", seed=3, callback=seen.append, **options)
    assert (run.state, run.waiting) == ("done", False)
    assert run.folder == tmp_path / "digits" / "usps_cnn-plain-adam_short-digits" / "margin" / "seed3"
    assert list(run.rounds["labelled"]) == [20, 40, 60]
    assert [row["test_error"] for row in seen] == list(run.rounds["test_error"])
    assert len(run.acquired) == 60
    assert run.plot().name == "curve.png"
    net = run.net()
    assert error(net) == pytest.approx(run.rounds["test_error"].iloc[-1])
    first = al_runner.load_net(run.folder, 0)
    assert error(first) == pytest.approx(run.rounds["test_error"].iloc[0])
    assert first.classes == tuple("0123456789")
    for file in (run.folder / "weights").iterdir():
        file.unlink()
    assert torch.allclose(run.net()(images()), net(images()), atol=1e-5)  # trained again
    with pytest.raises(UsageError, match=r"has no weights last or best \(there: none\); run with save_weights=last"):
        al_runner.load_net(run.folder)
    again = al_runner.run("strategy=margin", "dataset=digits", seed=3, callback=seen.append, **options)
    assert (again, len(seen)) == (run, 3)  # nothing was done again


def images() -> Tensor:
    return digits()[0]


def digits() -> tuple[Tensor, Tensor]:
    """Test images and labels of dataset=digits."""
    from al_runner.api.compose import composed
    from al_runner.job.build import build

    with composed(["dataset=digits", "strategy=random", "model=usps_cnn"]) as cfg:
        data = build(cfg, torch.device("cpu")).data
    return data.images[data.test], data.labels[data.test]


@torch.inference_mode()
def error(net: nn.Module) -> float:
    x, y = digits()
    return float((net(x).argmax(1) != y).double().mean())


def test_best_weights_and_an_ensemble(tmp_path: Path) -> None:
    options = {**QUICK, "results": tmp_path, "save_weights": "best", "learner.members": 2}
    run = al_runner.run("strategy=random", "dataset=digits", "learner=ensemble", **options)
    rows = run.rounds
    best = int(rows["val_error"].idxmin())
    net = al_runner.load_net(run.folder)
    assert len(net.nets) == 2
    assert error(net) == pytest.approx(rows["test_error"][best])
    assert [file.name for file in (run.folder / "weights").iterdir()] == ["best.safetensors"]


def test_the_net_is_the_last_rounds_though_the_weights_are_not(tmp_path: Path) -> None:
    """The run went on without save_weights, or began anew: its folder has, or had, weights of another net."""
    options = {**QUICK, "results": tmp_path, "budget.max_rounds": None}
    words = "strategy=random", "dataset=digits"
    al_runner.run(*words, save_weights="last", **{**options, "budget.max_labelled": 40})
    run = al_runner.run(*words, **{**options, "budget.max_labelled": 80})
    assert error(run.net()) == pytest.approx(run.rounds["test_error"].iloc[-1])
    assert len(list((run.folder / "weights").iterdir())) == 1
    al_runner.run(*words, "overwrite=true", **{**options, "budget.max_labelled": 40})
    assert not list((run.folder / "weights").iterdir())


def test_a_run_on_some_classes_alone(tmp_path: Path) -> None:
    """The images of the other classes have no label and are in no part of the split."""
    classes = "dataset.split._target_=al_runner.data.class_split.ClassSplit", "+dataset.split.classes=[5,7]"
    run = al_runner.run(
        *classes, "dataset.split.val=50", "dataset.split.test=50", "budget.max_labelled=100", results=tmp_path, **QUICK
    )
    assert set(run.acquired["label"]) <= {0, 1}
    assert run.rounds["test_error"].iloc[-1] < 0.4


def test_a_sweep(tmp_path: Path) -> None:
    runs = al_runner.sweep("strategy=random,margin", "dataset=digits", results=tmp_path, **QUICK)
    assert [(run.folder.parent.name, run.state) for run in runs] == [("random", "done"), ("margin", "done")]
    with pytest.raises(UsageError, match=r"2 of 2 jobs failed(.|\n)*budget\.initial is 5000"):
        words = ["strategy=random,margin", "dataset=digits", "hydra/launcher=basic"]
        al_runner.sweep(*words, results=tmp_path / "more", **{**QUICK, "budget.initial": 5000})


def test_the_values_of_a_sweep_are_quoted_one_by_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[list[str]] = []

    def started(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        given.append(words)
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(subprocess, "run", started)
    names = ["a b", "c,d", None, "basic"]
    runs = al_runner.sweep("dataset=digits", results=tmp_path, name=names, seed=range(2))
    assert {'name="a b","c,d",null,basic', "seed=0,1"} <= {*given[0]}
    assert len(runs) == 8


@pytest.mark.parametrize("name", ["2026", "null", "1e5", "true"])
def test_a_path_is_text_whatever_it_is_called(name: str) -> None:
    """A word of the command line would be a number, nothing or a truth value."""
    assert value_of(Path(name)) == f'"{name}"'
    assert value_of(Path("a") / name) == f'"a/{name}"'
    assert value_of(name) == name


def test_files_that_changed_are_read_again(tmp_path: Path) -> None:
    """In one process, where data are kept between runs; it is what a notebook does."""
    rng, file = np.random.default_rng(0), tmp_path / "mine.npz"
    images = rng.integers(0, 256, (60, 8, 8)).astype(np.uint8)
    options = {**QUICK, "model": "small_cnn", "results": tmp_path / "out", "budget.initial": 10, "budget.query": 5}
    for names in (["a", "b"], ["ant", "bee", "cow"]):
        np.savez(file, train_images=images, train_labels=np.array(names)[np.arange(60) % len(names)])
        run = al_runner.run("dataset=npz", "strategy=random", **{"dataset.path": file}, **options, name=names[0])
        assert run.acquired["label"].nunique() == len(names)


def toy_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(64, 3))


POOL = torch.randn(40, 2, 6, 6, generator=torch.Generator().manual_seed(0))
KNOWN = torch.randn(12, 2, 6, 6, generator=torch.Generator().manual_seed(1)), torch.arange(12) % 3
KINDS = {"one": ([toy_net()], None), "dropout": ([toy_net()], 4), "several": ([toy_net(), toy_net()], None)}


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_chooses_for_some_kind_of_net(name: str) -> None:
    """Distinct positions, the same at every call, the net left as it was; else what is needed, in one line."""
    answers, refusals = 0, []
    for nets, samples in KINDS.values():
        nets[0].train()
        asked = {
            "net": nets[0] if len(nets) == 1 else nets,
            "samples": samples,
            **FAST.get(kind_of(name), {}),
        }
        try:
            chosen = al_runner.choose(name, pool=POOL, labelled=KNOWN, n=5, **asked)
        except UsageError as problem:
            refusals.append(str(problem))
            continue
        answers += 1
        assert (chosen.dtype, len({*chosen.tolist()})) == (torch.int64, 5)
        assert 0 <= int(chosen.min()) <= int(chosen.max()) < 40
        assert nets[0].training
        assert torch.equal(al_runner.choose(name, pool=POOL, labelled=KNOWN, n=5, **asked), chosen)
    assert all("use " in line for line in refusals)
    never = ("use al_runner.run", "use a data set of two")  # it chooses in runs alone, or for other data
    assert answers or any(words in line for line in refusals for words in never)


def test_a_choice_is_what_its_formula_says() -> None:
    net = toy_net().eval()
    with torch.inference_mode():
        top = net(POOL).softmax(1).topk(2).values
    expected = (top[:, 0] - top[:, 1]).argsort()[:6]
    assert torch.equal(al_runner.choose("margin", net=net, pool=POOL, n=6), expected)
    several = [toy_net().eval(), nn.Sequential(nn.Flatten(), nn.Linear(72, 3))]
    with torch.inference_mode():
        p = torch.stack([one(POOL).softmax(1) for one in several], 1)
    mean = p.mean(1)
    bald = -(mean * mean.log()).sum(1) + (p * p.log()).sum(2).mean(1)
    chosen = al_runner.choose("bald", net=several, pool=POOL, n=6)
    assert torch.equal(chosen, bald.argsort(descending=True)[:6])


def test_another_seed_draws_other_dropout_masks() -> None:
    def chosen(seed: int) -> Tensor:
        return al_runner.choose("bald", net=toy_net(), pool=POOL, n=10, samples=4, seed=seed)

    assert torch.equal(chosen(3), chosen(3)) and not torch.equal(chosen(3), chosen(4))


@pytest.mark.parametrize("name", ["alfa_mix", "drop_query", "bait", "bait_top2", "bait_binary"])
def test_a_net_that_changes_what_its_last_layer_gives_is_refused(name: str) -> None:
    scaled = nn.Sequential(toy_net(), nn.Hardtanh(-0.1, 0.1))
    with pytest.raises(UsageError, match="a net whose last dense layer gives the logits, and this net changes what"):
        al_runner.choose(name, net=scaled, pool=POOL, labelled=KNOWN, n=3)


class Wrapped(nn.Module):
    """Gives something else than logits."""

    def __init__(self, change: Callable[[Tensor], object]):
        super().__init__()
        self.net, self.change = toy_net(), change

    def forward(self, x: Tensor) -> object:
        return self.change(self.net(x))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"net": Wrapped(lambda z: z[:, :1])}, r"gives one logit for each input.*torch\.cat\(\[torch\.zeros_like"),
        ({"net": Wrapped(lambda z: {"logits": z})}, r"tensor of logits.*gives a dict \(logits: \[2, 3\]\)"),
        ({"net": Wrapped(lambda z: z[0])}, r"tensor of logits.*it gives a tensor \[3\]"),
        ({"net": []}, r"net must be a torch\.nn\.Module"),
        ({"net": None}, r"net must be a torch\.nn\.Module"),
        ({"net": abs}, r"net must be a torch\.nn\.Module"),
        ({"net": [toy_net(), Wrapped(lambda z: z[:, :2])]}, "the nets give 3 and 2 logits"),
        ({"pool": POOL.numpy()}, "pool must be a tensor of inputs"),
        ({"pool": POOL.to(torch.uint8)}, r"the net can't take the pool's inputs \(.*\); give inputs of another form"),
        ({"pool": POOL[:, :, :4]}, "the net can't take the pool's inputs"),
        ({"labelled": (KNOWN[0], KNOWN[1].tolist())}, "labelled must be two tensors"),
        ({"labelled": KNOWN[0]}, "labelled must be two tensors"),
        ({"labelled": (*KNOWN, KNOWN[1])}, "labelled must be two tensors"),
        ({"labelled": zip(*KNOWN, strict=True)}, "labelled must be two tensors"),
        ({"labelled": (KNOWN[0][:, :, 1:], KNOWN[1])}, r"labelled inputs are \[2, 5, 6\] each, and those of the pool"),
        ({"labelled": (KNOWN[0], KNOWN[1] + 1)}, r"labels are 1 \.\. 3, but the net has 3 classes; give 0 \.\. 2"),
        ({"labelled": (KNOWN[0], KNOWN[1] - 1)}, r"labels are -1 \.\. 1, but the net has 3 classes"),
        ({"seed": torch.Generator()}, "seed is .*; it must be a whole number"),
        ({"seed": -1}, "seed is -1"),
        ({"samples": 0}, "samples is 0"),
        ({"n": 3.0}, r"n is 3\.0; it must be a whole number"),
        ({"n": "3"}, "n is '?3'?; it must be a whole number"),
        ({"pool": POOL.masked_fill(POOL[7, 1, 2, 3] == POOL, torch.nan)}, "pool has NaN or an infinite value in row 7"),
        ({"labelled": (KNOWN[0] / 0, KNOWN[1])}, "labelled has NaN or an infinite value in row 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "given",  # the same in every process
)
def test_what_does_not_fit_is_named(asked: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        al_runner.choose("badge", **{"net": toy_net(), "pool": POOL, "n": 3, **asked})


def test_a_layer_that_is_frozen_stays_so() -> None:
    net = nn.Sequential(toy_net(), nn.BatchNorm1d(3)).train()
    net[1].eval()
    al_runner.choose("margin", net=net, pool=POOL, n=3)
    assert net.training
    assert all(part.training for part in net[0].modules())
    assert not net[1].training


def test_a_strategy_that_changes_weights_says_that_all_are_frozen() -> None:
    with pytest.raises(UsageError, match=r"all are frozen; net\.requires_grad_\(\) frees them"):
        al_runner.choose("emoc", net=toy_net().requires_grad_(False), pool=POOL, labelled=KNOWN, n=3)


def test_a_net_that_computes_nan_and_a_strategy_that_is_none_get_one_line() -> None:
    with pytest.raises(UsageError, match="margin can't choose: a score is not finite: the net computes NaN"):
        al_runner.choose("margin", net=Wrapped(lambda z: z * torch.nan), pool=POOL, n=3)
    with pytest.raises(al_runner.UsageError, match="there is no strategy=strategy=margin; choose from"):
        al_runner.choose("strategy=margin", net=toy_net(), pool=POOL, n=3)


def test_choose_warns_of_a_net_that_gives_probabilities(caplog: pytest.LogCaptureFixture) -> None:
    al_runner.choose("margin", net=toy_net(), pool=POOL, n=3)
    assert not caplog.records
    al_runner.choose("margin", net=nn.Sequential(toy_net(), nn.Softmax(1)), pool=POOL, n=3)
    assert "softmax at the end of the net" in caplog.text


def test_choose_takes_numpy_s_whole_numbers() -> None:
    wanted = al_runner.choose("random", net=toy_net(), pool=POOL, n=3, seed=4)
    given: dict[str, Any] = {"n": np.int64(3), "seed": np.uint8(4)}
    chosen = al_runner.choose("random", net=toy_net(), pool=POOL, **given)
    assert torch.equal(chosen, wanted)


@pytest.mark.parametrize("name", ["alfa_mix", "refine", "kfac_trace"])
def test_a_strategy_that_compares_with_labelled_inputs_says_so(name: str) -> None:
    with pytest.raises(UsageError, match=r"can't choose without labelled inputs .*; give labelled="):
        al_runner.choose(name, net=toy_net(), pool=POOL, n=3, **FAST.get(name, {}))


@pytest.mark.parametrize("name", ["egl", "kfac_vfe", "dfal", "discriminative_28"])
def test_a_choice_inside_inference_mode_is_the_same(name: str) -> None:
    asked = {"net": toy_net(), "n": 3, **FAST.get(kind_of(name), {})}
    chosen = al_runner.choose(name, pool=POOL, labelled=KNOWN, **asked)
    with torch.inference_mode():
        assert torch.equal(al_runner.choose(name, pool=POOL.clone(), labelled=KNOWN, **asked), chosen)


def test_wrong_choices_are_refused() -> None:
    net = toy_net()
    for asked, message in (
        ({"n": 41}, "n is 41, but the pool has 40 inputs"),
        ({"n": 3, "labelled": (KNOWN[0], KNOWN[1].float())}, "labelled must be inputs and int64 labels"),
        ({"n": 3, "colour": 1}, "colour"),
    ):
        with pytest.raises(UsageError, match=message):
            al_runner.choose("margin", net=net, pool=POOL, **asked)
    with pytest.raises(UsageError, match="the net has no dropout layer"):
        al_runner.choose("bald", net=nn.Sequential(nn.Flatten(), nn.Linear(72, 3)), pool=POOL, n=3, samples=4)
    with pytest.raises(UsageError, match="bald needs several posterior samples"):
        al_runner.choose("bald", net=net, pool=POOL, n=3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the stand-in is for machines without a GPU")
def test_labelled_inputs_need_not_be_on_the_gpu_of_the_pool() -> None:
    wanted = al_runner.choose("core_set", net=toy_net(), pool=POOL, labelled=KNOWN, n=5)
    with StandIn() as gpu:
        chosen = al_runner.choose("core_set", net=toy_net().to("cuda"), pool=POOL.to("cuda"), labelled=KNOWN, n=5)
        assert torch.equal(chosen.cpu(), wanted) and not gpu.mismatches


class Greedy(Strategy):
    """Asks for more memory than there is."""

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_shortage_of_memory_is_no_lack_of_labelled_inputs() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        al_runner.choose(Greedy(), net=toy_net(), pool=POOL, n=5)


class Dividing(Strategy):
    """Has a fault."""

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        return pool.candidates[: n // 0]


def test_a_fault_of_a_strategy_s_code_stays_what_it_is() -> None:
    """It is an ArithmeticError too, but it says nothing of the net."""
    with pytest.raises(ZeroDivisionError):
        al_runner.choose(Dividing(), net=toy_net(), pool=POOL, n=5)


def test_a_persons_run_from_python_and_its_export(al_run: Command, tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    command = words(root, tmp_path / "results", "budget.max_rounds=1")
    assert al_runner.run(*command).waiting
    folder = run_folder(tmp_path / "results")
    for waiting in (True, False):
        fill(folder / "query.csv")
        assert al_runner.run(*command).waiting is waiting
    code, output = al_run("--export", str(folder))
    assert (code, "95 % interval" in output) == (0, True)

    def table(name: str) -> list[dict[str, str]]:
        with (folder / "export" / name).open(newline="") as stream:
            return [*csv.DictReader(stream)]

    known, said = table("labelled.csv"), table("predictions.csv")
    assert (len(known), len(said)) == (10 + 13, 48 - 23)
    assert not {row["id"] for row in known} & {row["id"] for row in said}
    from labelled import colour_of

    assert all(row["label"] == colour_of(row["file"]) for row in known)
    net = al_runner.load_net(folder / "export")
    assert net.classes == ("blue", "green", "red")
    assert al_run("--export")[1].startswith("al-run: --export takes the folder of one run")
    assert "holds no run" in al_run("--export", str(tmp_path))[1]
    exported = [(folder / "export" / name).read_bytes() for name in ("labelled.csv", "predictions.csv")]
    root.rename(tmp_path / "moved")
    assert al_run("--export", str(folder))[0] == 1
    code, output = al_run("--export", str(folder), f"dataset.path={tmp_path / 'moved'}", "threads=1")
    assert code == 0, output
    assert exported == [(folder / "export" / name).read_bytes() for name in ("labelled.csv", "predictions.csv")]
    refused = "seed=3 can't be given with a run's folder, since the run has its own; only data_root=, device=, thr"
    assert refused in al_run("--export", str(folder), "seed=3")[1]


def test_the_export_has_the_labels_that_were_bought_also_of_images_that_a_strategy_made() -> None:
    data = replace(toy.data_set(), files=tuple(f"{id_}.png" for id_ in range(160)))
    pool = Pool(data)
    made = pool.add(data.images[:3])
    ids = torch.cat([data.train[:2], made])
    pool.buy(ids, torch.tensor([2, 1, 0, UNKNOWN, 2]))  # whatever the data set says, and one that nobody could tell
    known = labels_of(data, pool)
    first, second = data.train[:2].tolist()
    bought = [(first, f"{first}.png", "c"), (second, f"{second}.png", "b"), (160, "", "a"), (162, "", "c")]
    assert known[:4] == [(*image, "labelled") for image in bought]
    named = [(id_, f"{id_}.png", data.classes[int(data.labels[id_])]) for id_ in data.test.tolist()]
    assert known[4 + len(data.val) :] == [(*image, "test") for image in named]


def test_the_export_tells_labels_to_train_on_from_those_that_were_set_aside() -> None:
    data = toy.data_set().without_validation()
    pool = new_pool(data, Budget(initial=10, query=1, val_share=0.2), seed=0)
    pool.buy(data.train[:10], data.labels[data.train[:10]])
    parts = [(row[0], row[3]) for row in labels_of(data, pool)]
    bought = [(id_, "labelled") for id_ in pool.training.tolist()]
    assert parts[:10] == bought + [(id_, "validation") for id_ in pool.validation.tolist()]
    assert (len(bought), {part for _, part in parts[10:]}) == (8, {"test"})


def test_a_net_of_one_s_own_is_loaded_where_its_module_lay_and_else_the_line_says_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine" / "model"
    mine.mkdir(parents=True)
    (mine / "net_to_load.py").write_text(
        "from torch import nn\n\ndef net(shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    (mine / "to_load.yaml").write_text("_target_: net_to_load.net\n_partial_: true\n")
    words = ["strategy=random", "model=to_load", "save_weights=last", "budget.max_rounds=0", "training.max_checks=1"]
    code, output = finished("--config-dir", str(tmp_path / "mine"), *words, f"results={tmp_path / 'out'}")
    assert code == 0, output
    (folder,) = (file.parent for file in tmp_path.rglob("rounds.csv"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert al_runner.load_net(folder).classes == tuple("0123456789")
    monkeypatch.delitem(sys.modules, "net_to_load")
    mine.rename(tmp_path / "elsewhere")
    sys.path_importer_cache.clear()
    with pytest.raises(UsageError, match=r"there is no module net_to_load; .* in Python, put its folder on sys\.path$"):
        al_runner.load_net(folder)
    sys.path.append(str(tmp_path / "elsewhere"))
    assert al_runner.load_net(folder).classes == tuple("0123456789")
