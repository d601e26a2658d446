"""What a stranger may put into a results folder: each a function that spoils one of its runs, or adds something."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

Spoil = Callable[[Path, Path, Path], object]  # of the folder of all, of a run in it, and of what lies outside

ESCAPES = "\x1b]0;owned\x07\x1b[2J"
TEX = "\\input{/etc/passwd}}\\write18{touch mark}"
NAMES = {
    "formula": "=cmd|' /C calc'!A0",
    "formula after apostrophes": "''=1+1",
    "plus": "+1",
    "script": "<script>alert(1)</script>",
    "image": "![x](http://example.com/x.png)",
    "latex": TEX,
    "math": "$\\frac{1}{0}$ $x_",
    "escapes": ESCAPES,
    "line ends": "a\nb\r\n| c |",
    "NUL": "a\0b",
    "right to left": "\u202eabc",
    "long": "x" * 10_000,
    "long and wide": "\u4e00" * 190,
    "parents": "../../../outside/escaped",
    "absolute": "/outside",
    "blanks": "   ",
    "stars": "**",
    "jinja": "{{ 7 * 7 }}{% include '/etc/passwd' %}",
}
CONFIGS = {
    "self-referring anchor": "run: &a\n  x: *a\n",
    "bomb": "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)),
    "bomb of maps": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9))}}}\n" for i in range(1, 9)),
    "merge": "a: &a {b: 1}\nrun:\n  <<: *a\n",
    "deep list": "[" * 5000,
    "deep list, closed": "[" * 5000 + "]" * 5000,
    "deep map": "".join(f"{' ' * i}a:\n" for i in range(600)),
    "python": "!!python/object/apply:os.mkdir [mark]",
    "noise": None,
    "nothing": "",
    "wide": "[" + "1," * 120_000 + "]",
    "odd tags": "a: !!bool x\nb: !!timestamp y\nc: !!float ''\n",
    "odd date": "a: 2001-99-99\n",
    "huge number": f"run: {{seed: {10**30}}}\n",
    "huger number": f"run: {{seed: 0x{'f' * 5000}}}\n",
    "list as key": "? [a, b]\n: c\n",
}
STATES = {
    "number": 5,
    "no state": {},
    "state 5": {"state": 5},
    "state list": {"state": [1]},
    "rounds x": {"rounds": "x"},
    "rounds huge": {"rounds": 10**30},
    "pid huge": {"pid": 10**30},
    "pid negative": {"pid": -1},
    "born text": {"born": "x"},
    "updated naive": {"updated": "2020-01-01T00:00:00", "host": "elsewhere", "state": "running"},
    "updated odd": {"updated": "yesterday", "host": "elsewhere", "state": "running"},
    "overrides": {"overrides": 5},
    "overrides inside": {"overrides": [["a"]]},
    "cwd NUL": {"cwd": "a\0b"},
    "job": {"job": "a\0;touch mark", "state": "running"},
    "error": {"error": ESCAPES + "[red]x[/red]"},
    "more": {"more": 1},
    "deep": None,
}
CELLS = {
    "labelled": (str(10**23), "1e400", "-5", "nan", "1.5", ""),
    "fit_seconds": ("inf", "1e308", "nan", "-inf", "x"),
    "select_seconds": ("inf", "1e308"),
    "test_error": ("5", "-1", "inf", "nan", ESCAPES),
    "classes": ("1.5", "1e300", "-1"),
    "steps": ("9" * 5000,),
}
STARTS = {
    "deep": "[" * 20_000,
    "number": "5",
    "texts": '["a"]',
    "odd facts": json.dumps([{"device": [1], "git_commit": {"a": 1}, "started": 5, "command": "x", ESCAPES: "<b>"}]),
    "huge number": json.dumps([{"threads": 10**400}]),
    "not a number": '[{"threads": NaN, "seed": Infinity}]',
    "path": '[{"file": {"name": "../outside/secret", "sha256": ""}}]',
    "stars": '[{"file": {"name": "**", "sha256": ""}}]',
    "file": '[{"file": {"name": ["digits"], "sha256": 5}}]',
}
BOUGHT = {
    "shorter than rounds": "round,id,label\n0,1,1\n",
    "longer": "round,id,label\n" + "".join(f"{i},{i},0\n" for i in range(99)),
    "id 1.5": "round,id,label\n0,1.5,1\n",
    "id negative": "round,id,label\n0,-1,1\n",
    "id huge": f"round,id,label\n0,{10**23},1\n",
    "id beyond": "round,id,label\n0,9007199254740000,1\n",
    "twice": "round,id,label\n" + "0,1,1\n" * 2000,
    "label huge": "round,id,label\n0,1,9007199254740000\n",
    "empty": "",
    "header": "round,id,label\n",
    "NUL": "round,id,label\n\0\n",
    "quote": 'round,id,label\n0,"1,1\n',
    "long field": "round,id,label\n0,1," + "1" * 200_000 + "\n",
    "many columns": ",".join(map(str, range(50_000))) + "\n",
}


def _config(text: str | None) -> Spoil:
    held = np.random.default_rng(0).bytes(3000) if text is None else text.encode()
    return lambda _, run, __: (run / "config.yaml").write_bytes(held)


def _named(part: str, name: str) -> Spoil:
    def spoil(_: Path, run: Path, __: Path) -> None:
        config = yaml.safe_load((run / "config.yaml").read_text())
        config["run"][part] = name
        (run / "config.yaml").write_text(yaml.safe_dump(config))

    return spoil


def _setting(**held: object) -> Spoil:
    def spoil(_: Path, run: Path, __: Path) -> None:
        config = yaml.safe_load((run / "config.yaml").read_text())
        (run / "config.yaml").write_text(yaml.safe_dump(config | held))

    return spoil


def _state(change: object) -> Spoil:
    def spoil(_: Path, run: Path, __: Path) -> None:
        held = json.loads((run / "state.json").read_text())
        text = "[" * 50_000 if change is None else json.dumps(held | change if isinstance(change, dict) else change)
        (run / "state.json").write_text("{}" if change == {} else text)

    return spoil


def _cell(column: str, value: str) -> Spoil:
    def spoil(_: Path, run: Path, __: Path) -> None:
        header, *lines = (run / "rounds.csv").read_text().splitlines()
        cells = lines[1].split(",")
        cells[header.split(",").index(column)] = value
        (run / "rounds.csv").write_text("\n".join([header, lines[0], ",".join(cells), *lines[2:]]) + "\n")

    return spoil


def _text(name: str, text: str) -> Spoil:
    return lambda _, run, __: (run / name).write_text(text)


def _instead(name: str, make: Callable[[Path, Path], object]) -> Spoil:
    def spoil(_: Path, run: Path, outside: Path) -> None:
        (run / name).unlink()
        make(run / name, outside)

    return spoil


def _sparse(file: Path, _: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(50 * 2**30)


def _deep(root: Path, _: Path, __: Path) -> None:
    """Folders inside each other, deeper than a path may be long."""
    here = os.open(".", os.O_RDONLY)
    os.chdir(root)
    try:
        for _ in range(1500):
            os.mkdir("aaaa")
            os.chdir("aaaa")
        Path("rounds.csv").write_text("")
    finally:
        os.fchdir(here)
        os.close(here)


def _modules(root: Path, run: Path, outside: Path) -> None:
    """Modules that leave a mark where they are imported."""
    for place in (root, run):
        for name in ("random", "json", "yaml", "al_runner", "sitecustomize", "hydra_plugins", "conftest"):
            (place / name).mkdir()
            for file in ("__init__.py", "run.py", "__main__.py"):
                (place / name / file).write_text(f"import os; os.mkdir({str(outside / 'mark')!r})\n")


def _many(root: Path, run: Path, _: Path) -> None:
    """More strategies than there are pens."""
    for i in range(500):
        folder = root / f"many{i}"
        folder.mkdir()
        for name in ("config.yaml", "rounds.csv"):
            (folder / name).write_bytes((run / name).read_bytes())
        _named("strategy", f"s{i}")(root, folder, root)


def _partial(name: str) -> Spoil:
    def spoil(root: Path, _: Path, outside: Path) -> None:
        file = root / name
        file.parent.mkdir(exist_ok=True)
        file.with_name(f".{file.name}.partial").symlink_to(outside / "secret")

    return spoil


def _plotted(root: Path, _: Path, outside: Path) -> None:
    (root / "plots").mkdir()
    (root / "plots" / "results.csv").symlink_to(outside / "secret")


FILES = ("config.yaml", "rounds.csv", "acquired.csv", "predicted.csv", "provenance.json", "state.json")
INSTEAD: dict[str, Callable[[Path, Path], object]] = {
    "a link to a secret": lambda file, outside: file.symlink_to(outside / "secret"),
    "a link without end": lambda file, _: file.symlink_to("/dev/zero"),
    "a link to itself": lambda file, _: file.symlink_to(file),
    "a pipe": lambda file, _: os.mkfifo(file),
    "a folder": lambda file, _: file.mkdir(),
    "50 GB of zeros": _sparse,
}
SPOILS: dict[str, Spoil] = {
    **{f"config: {name}": _config(text) for name, text in CONFIGS.items()},
    **{f"strategy: {name}": _named("strategy", text) for name, text in NAMES.items()},
    **{f"variant: {name}": _named("name", text) for name, text in NAMES.items()},
    **{f"data set: {name}": _named("dataset", text) for name, text in NAMES.items()},
    "data set: a list": _setting(dataset=[1]),
    "split: a number": _setting(dataset={"split": 5}),
    "split: infinite": _setting(dataset={"split": {"val": float("inf")}}),
    "budget: a list": _setting(budget=[1]),
    **{f"state: {name}": _state(change) for name, change in STATES.items()},
    **{f"{column}: {value[:20]!r}": _cell(column, value) for column, values in CELLS.items() for value in values},
    **{f"rounds.csv: {name}": _text("rounds.csv", text) for name, text in BOUGHT.items()},
    **{f"acquired.csv: {name}": _text("acquired.csv", text) for name, text in BOUGHT.items()},
    **{f"predicted.csv: {name}": _text("predicted.csv", text) for name, text in BOUGHT.items()},
    "predicted.csv: infinite": _text("predicted.csv", "round,id,prediction,confidence\n1,9,1,inf\n"),
    **{f"provenance.json: {name}": _text("provenance.json", text) for name, text in STARTS.items()},
    **{f"{file}: {what}": _instead(file, make) for file in FILES for what, make in INSTEAD.items()},
    **{
        f"a partial {name} that leads outside": _partial(name)
        for name in ("plots/results.csv", "report.html", "compare/compare.md")
    },
    "results.csv leads outside": lambda root, _, outside: (root / "results.csv").symlink_to(outside / "secret"),
    "plots/results.csv leads outside": _plotted,
    "report.html leads outside": lambda root, _, outside: (root / "report.html").symlink_to(outside / "secret"),
    "plots leads outside": lambda root, _, outside: (root / "plots").symlink_to(outside),
    "compare leads outside": lambda root, _, outside: (root / "compare").symlink_to(outside),
    "report.html is a folder": lambda root, _, __: (root / "report.html").mkdir(),
    "a folder that leads outside": lambda root, _, outside: (root / "more").symlink_to(outside),
    "a folder that leads to itself": lambda root, _, __: (root / "more").symlink_to(root),
    "a folder of an odd name": lambda root, run, __: run.rename(root / f"{ESCAPES}[red]<b>=1+1"),
    "1,500 folders inside each other": _deep,
    "modules": _modules,
    "500 strategies": _many,
}
