"""Where in the user's own files an error was raised."""

import sysconfig
import traceback
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
NOT_OWN = (PACKAGE, *map(Path, map(sysconfig.get_path, ("stdlib", "purelib", "platlib"))))


def place_of(error: BaseException) -> str:
    """Where in the user's own files an error was raised, as ` (mine.py, line 3)`; empty if it was elsewhere."""
    for frame, line in reversed([*traceback.walk_tb(error.__traceback__)]):
        file = Path(frame.f_code.co_filename)
        if file.suffix == ".py" and not any(file.is_relative_to(root) for root in NOT_OWN):
            return f" ({file.name}, line {line})"
    return ""
