"""A results folder may come from a stranger: nothing in it runs, leads outside, hangs, or stops the sound runs."""

import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from analysis.hostile import SPOILS
from support.made_runs import make_run

from al_runner.analysis.cli import main as al_plot
from al_runner.analysis.cli_compare import main as al_compare
from al_runner.analysis.cli_report import main as al_report
from al_runner.record.state import DONE, State, write
from al_runner.sweeps.status import main as al_status

TOOLS: dict[str, Callable[[list[str]], int]] = {
    "al-status": al_status,
    "al-plot": lambda words: al_plot([*words, "--format", "svg"]),
    "al-compare": lambda words: al_compare([*words, "--format", "svg"]),
    "al-report": al_report,
}
TRIED = sorted(SPOILS) if os.environ.get("AL_CHAOS") else random.Random(0).sample(sorted(SPOILS), 6)  # scripts/chaos.sh
SECRET = "round,id,label\nthe secret,2,3\n"
WHOLE = (  # may be refused as a whole, all others must show the sound runs
    "500 strategies",
    "report.html is a folder",
    "plots leads outside",
    "compare leads outside",
)
PATIENCE = 120  # seconds that a tool may take, and half as many of a processor


def results(root: Path) -> Path:
    """Four sound runs; the folder of the last."""
    for strategy in ("random", "entropy"):
        for seed in range(2):
            folder = make_run(root, strategy, seed, [0.5, 0.4, 0.3 + seed / 100])
            bought = [(i, 8 * i + j, j % 4) for i in range(3) for j in range(8)]
            lines = [",".join(map(str, row)) for row in bought]
            (folder / "acquired.csv").write_text("\n".join(["round,id,label", *lines]) + "\n")
            said = [f"{i},{id_},{label},0.5" for i, id_, label in bought if i]
            (folder / "predicted.csv").write_text("\n".join(["round,id,prediction,confidence", *said]) + "\n")
            (folder / "provenance.json").write_text(json.dumps([{"device": "cpu", "file": {"name": "digits"}}]))
            write(folder, State(DONE, ("seed=0",), "/").now(DONE, rounds=3))
    return folder


def carried_out(tool: str, words: list[str], log: Path, data: Path) -> int:
    """The tool in a child of bounded means; its exit code."""
    pid = os.fork()
    if not pid:
        code = 99
        try:
            output = os.open(log, os.O_CREAT | os.O_WRONLY)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
            resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE // 2, PATIENCE // 2))
            used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
            os.environ["AL_DATA"] = str(data)
            code = TOOLS[tool](words)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 98
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError(f"{tool} hung on {words}")


@pytest.mark.parametrize("name", TRIED)
def test_a_stranger_s_folder_is_only_read(name: str, tmp_path: Path, record_property: Callable[..., None]) -> None:
    root, outside = tmp_path / "results", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_text(SECRET)
    SPOILS[name](root, results(root), outside)
    for tool in TOOLS:
        log = tmp_path / f"{tool}.log"
        code = carried_out(tool, [str(root)], log, outside)
        said = log.read_text(errors="replace")
        assert code in ((0, 1, 2) if name in WHOLE else (0, 1)), said
        assert "Traceback" not in said
        assert "the secret" not in said
        assert "\x1b" not in said
        if code == 2:  # in one line
            assert said.startswith(f"{tool}: "), said
            assert said.count("\n") == 1, said
        elif tool != "al-report":
            assert "random" in said
    assert {file.name: file.read_bytes() for file in outside.iterdir()} == {"secret": SECRET.encode()}
    assert {file.name for file in tmp_path.iterdir()} == {"results", "outside", *(f"{tool}.log" for tool in TOOLS)}
    record_property("hostile folder", f"{name}: read by {len(TOOLS)} tools")
