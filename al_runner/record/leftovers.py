"""What a run leaves that was refused before it recorded anything: nothing."""

from contextlib import suppress
from pathlib import Path

from al_runner.system.claim import Claim, Taken

LOCK = ".lock"
TRACES = {"state.json", "al-run.log"}  # of a start; all else in a run's folder is a record


def clear(folder: Path, root: Path) -> None:
    """Remove the folder of such a run, and the folders between it and `root` that held nothing else.

    What holds a record, or is another process's, stays.
    """
    folder, root = folder.absolute(), root.absolute()
    with suppress(Taken, OSError):
        with Claim(folder / LOCK):
            left = {file.name for file in folder.iterdir() if not file.name.startswith(LOCK)}
            if left - TRACES:
                return
            for name in left:
                (folder / name).unlink()
        (folder / LOCK).unlink(missing_ok=True)
        for empty in (folder, *folder.parents):
            if empty == root or root not in empty.parents:
                return
            empty.rmdir()
