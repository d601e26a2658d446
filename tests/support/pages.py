"""Pages of docs/ that a reader follows: the files that they show, and the commands that they give."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
MODULES = {  # the commands that pyproject.toml installs; a test may run without an installation
    name: module
    for name, module in re.findall(r'^(al-\w+) = "([\w.]+):main"$', (REPOSITORY / "pyproject.toml").read_text(), re.M)
}


def text_of(page: str) -> str:
    return (REPOSITORY / "docs" / page).read_text()


def lay(page: str, folder: Path) -> list[str]:
    """Write every file that the page shows (a block of code below a line with its name) into the folder; the names."""
    shown = re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```", text_of(page), re.S | re.M)
    for name, content in shown:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return [name for name, _ in shown]


def commands(page: str) -> list[str]:
    """The lines of the page's bash blocks; a line that ends in a backslash goes on."""
    blocks = re.findall(r"^```bash\n(.*?)^```", text_of(page), re.S | re.M)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def carried_out(line: str, folder: Path, *more: str) -> str:
    """What a command of ours, or python, prints in the folder; al-run gets `more` words. It must succeed."""
    first, *words = shlex.split(line, comments=True)
    start = [sys.executable] if first == "python" else [sys.executable, "-m", MODULES[first]]
    own = [*more] if first == "al-run" else []
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "AL_DATA": str(folder / "data")}
    command = [*start, *words, *own]
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
