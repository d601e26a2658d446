"""A data set that somebody's own code made has the form of a `DataSet`, or one line says what is wrong."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import toy
from command import QUICK, Command

from al_runner.data.form import well_formed
from al_runner.errors import UsageError

DATA = toy.data_set()
FLOATS = DATA.images.float()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"images": DATA.images[:, 0]},
            r"images is uint8 \[.*\]; it must be a tensor \[N, C, H, W\] of uint8",
        ),
        ({"images": DATA.images.double()}, r"images is float64"),
        ({"images": DATA.images.numpy()}, r"images is ndarray"),
        ({"labels": DATA.labels.float()}, r"labels is float32 \[.*\]; it must be an int64 tensor \["),
        ({"labels": DATA.labels[1:]}, r"labels is int64"),
        (
            {"labels": DATA.labels + 1},
            r"labels are 1 \.\. 3; they must be 0 \.\. 2, one for each of the 3 classes",
        ),
        ({"labels": DATA.labels - 4}, r"labels are -4 \.\. -2"),
        ({"train": DATA.train.tolist()}, r"train is list; it must be an int64 tensor of one dimension"),
        ({"train": DATA.train.int()}, r"train is int32"),
        ({"train": torch.isin(torch.arange(len(DATA.images)), DATA.train)}, r"train is bool"),
        ({"train": DATA.train[:0]}, r"train is empty"),
        ({"test": DATA.test[:0]}, r"test is empty"),
        ({"test": DATA.test + len(DATA.images)}, r"test has rows .*, but there are \d+ images"),
        ({"train": DATA.train.flip(0)}, r"train has a row twice, or is not in ascending order; give train\.unique"),
        ({"train": DATA.train.repeat_interleave(2)}, r"train has a row twice"),
        (
            {"test": DATA.train[-5:]},
            r"5 images are in train, val or test more than once, the first in row",
        ),
        ({"val": DATA.test[[0, 0]]}, r"1 images are in train, val or test more than once"),
        ({"classes": [*DATA.classes]}, r"classes must be a tuple of words"),
        ({"classes": (0, 1, 2)}, r"classes must be a tuple of words"),
        ({"classes": ("a", "b", "a")}, r"classes are a, b, a; give every class another name"),
        ({"classes": DATA.classes[:2]}, r"labels are 0 \.\. 2; they must be 0 \.\. 1"),
        ({"files": ("1.png",)}, r"files has 1 names, but there are \d+ images; give one for each, or none"),
        (
            {"images": FLOATS.where(torch.arange(len(FLOATS)).view(-1, 1, 1, 1) != 7, torch.nan)},
            r"images has NaN or an infinite value in row 7; leave it out",
        ),
    ],
)
def test_another_form_is_refused(parts: dict[str, Any], message: str) -> None:
    assert well_formed(DATA, "mine") is DATA
    with pytest.raises(UsageError, match=f"mine gave a data set that can't be used: {message}"):
        well_formed(replace(DATA, **parts), "mine")


MODULE = """
from dataclasses import replace
import torch

def same_images(data):
    return replace(data, train=torch.cat([data.train, data.test]).sort().values)

def nothing(data):
    data.labels[data.train[:20]] = 0
"""


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("same_images", "own_pool.same_images gave a data set that can't be used: 500 images are in train, val or te"),
        ("nothing", "own_pool.nothing gave NoneType in place of a data set; return"),
    ],
)
def test_a_pool_of_ones_own_is_checked(al_run: Command, tmp_path: Path, target: str, line: str) -> None:
    (tmp_path / "own_pool.py").write_text(MODULE)
    pool = f"+pool={{_target_: own_pool.{target}, _partial_: true}}"
    results = tmp_path / "results"
    code, output = al_run("--config-dir", str(tmp_path), "dataset=digits", pool, *QUICK, f"results={results}")
    assert (code, "Traceback" in output) == (1, False)
    assert line in output.splitlines()[-1]
    assert not [*results.rglob("rounds.csv")]
