import json
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import json, sys
import torch
from al_runner.system.freed import return_large_blocks


def resident():
    return next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))


if sys.argv[1] == "returned":
    return_large_blocks()
torch.ones(2**23 - 2**10)  # 32 MB, after which glibc keeps what is smaller
before = resident()
blocks = [torch.ones(2**21) for _ in range(21)]  # 8 MB each
print(json.dumps([resident() - before, (blocks.reverse(), blocks.__delitem__(slice(1, None)), resident() - before)[2]]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone can do it")
@pytest.mark.parametrize("kind", ["returned", "kept"])
def test_large_blocks_go_back_to_the_system(kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, kind],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
    )
    held, left = json.loads(done.stdout)
    assert held > 20 * 2**23
    assert (left < 2 * 2**23) is (kind == "returned")
