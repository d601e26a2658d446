"""How many GPUs a sweep uses, and what it costs to find out."""

import pytest
from fresh import printed

PROGRAM = """
import sys
from al_runner.system import gpus

gpus.version = lambda package: sys.argv[1]
print(json.dumps([gpus.gpus_in_turn(sys.argv[2]), "torch" in sys.modules]))
"""


@pytest.mark.parametrize(
    ("build", "device", "asks"),
    [
        ("2.13.0+cpu", "auto", False),
        ("2.13.0+cpu", "cuda", False),
        ("2.13.0", "cpu", False),
        ("2.13.0", "cuda:1", False),
        ("2.13.0", "auto", True),
        ("2.13.0+rocm6.4", "cuda", True),
    ],
)
def test_torch_is_imported_only_if_it_may_know_a_gpu(build, device, asks):
    """It takes two seconds, before the first process of a sweep begins."""
    count, imported = printed(PROGRAM, build, device)
    assert imported is asks
    assert isinstance(count, int)
    assert count == 0 or asks
