"""Programs in a Python of their own, whose memory holds nothing of the tests."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HEAD = """
import json


def status(name):  # bytes, such as VmHWM, the peak. ru_maxrss would begin at the peak of the process above this one.
    return next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))


"""


def printed(program: str, *words: str, **environment: str) -> Any:
    """What `program` prints as JSON; it has `json` and `status(name)`, and `words` in sys.argv. Raises if it fails."""
    done = subprocess.run(
        [sys.executable, "-c", HEAD + program, *words],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin", **environment},
    )
    return json.loads(done.stdout)
