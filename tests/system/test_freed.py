import sys

import pytest
from fresh import printed

CODE = """
import sys
import torch
from al_runner.system.freed import return_large_blocks

if sys.argv[1] == "returned":
    return_large_blocks()
torch.ones(2**23 - 2**10)  # 32 MB, after which glibc keeps what is smaller
before = status("VmRSS")
blocks = [torch.ones(2**21) for _ in range(21)]  # 8 MB each
held = status("VmRSS") - before
blocks = blocks[-1:]  # the last one lies above all others
print(json.dumps([held, status("VmRSS") - before]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone can do it")
@pytest.mark.parametrize("kind", ["returned", "kept"])
def test_large_blocks_go_back_to_the_system(kind: str) -> None:
    held, left = printed(CODE, kind)
    assert held > 20 * 2**23
    assert (left < 2 * 2**23) is (kind == "returned")
