"""A reader who follows a page of docs/, file by file and command by command, gets where the page says."""

import json
from pathlib import Path

import pytest
from pages import carried_out, commands, lay, text_of

QUICK = ["budget.max_rounds=1", "training.max_checks=1", "training.check_every=2"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    names = lay("own.md", folder)
    groups = {"model", "strategy", "learner", "training", "dataset", "logger"}
    assert {Path(name).parts[1] for name in names} == groups and len(names) == 2 * len(groups)
    return folder


@pytest.mark.parametrize("line", commands("own.md"))
def test_parts_of_one_s_own_run_from_their_page_alone(own: Path, line: str) -> None:
    runs = 4 if " -m " in line else 1
    before = {*own.rglob("rounds.csv")}
    carried_out(line, own, *QUICK)
    assert len({*own.rglob("rounds.csv")} - before) == runs


def test_the_page_s_logger_gets_every_round(own: Path) -> None:
    carried_out("al-run --config-dir mine strategy=random logger=lines results=logged", own, *QUICK)
    (rows,) = (own / "logged").rglob("rows.jsonl")
    assert [json.loads(line)["round"] for line in rows.read_text().splitlines()] == [0, 1]


def test_the_page_s_strategy_fulfils_the_contract(own: Path) -> None:
    (block,) = [
        part.partition("```")[0] for part in text_of("own.md").split("```python\n") if "check_strategy(" in part
    ]
    (own / "check.py").write_text(block)
    (own / "my_strategies.py").write_text((own / "mine/strategy/my_strategies.py").read_text())
    carried_out("python check.py", own)


def test_the_page_s_parts_run_from_python(own: Path) -> None:
    blocks = [part.partition("```")[0] for part in text_of("own.md").split("```python\n") if "al_runner.run(" in part]
    quick = f"run = al_runner.run(*{QUICK!r}, "
    (own / "from_python.py").write_text(blocks[0].replace("run = al_runner.run(", quick) + "print(run.state)\n")
    assert carried_out("python from_python.py", own).splitlines()[-1] == "done"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder of somebody who gave all commands of the tutorial, with short trainings; what each command printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    assert lay("tutorial.md", folder) == ["photos.py"]
    return folder, {line: carried_out(line, folder, *QUICK) for line in commands("tutorial.md")}


def test_the_tutorial_leads_from_images_to_a_figure_and_a_page(followed: tuple[Path, dict[str, str]]) -> None:
    folder, said = followed
    assert [line.split()[0] for line in said] == ["python", "al-run", "al-run", "al-compare", "al-plot", "al-report"]
    assert len(list(folder.glob("photos/*/*.png"))) == 1797
    assert len(list(folder.rglob("rounds.csv"))) == 9
    for name in ("plots/test_error.png", "plots/test_error.svg", "report.html", "compare/compare.md"):
        assert (folder / "outputs" / name).stat().st_size > 1000
    dry, compared = (text for line, text in said.items() if "--dry-run" in line or line.startswith("al-compare"))
    assert "9 runs" in dry and "nothing is started" in dry
    assert "(3 paired seeds" in compared and "of which one is 0.28 points" in compared
