"""Removes the folder of a run that was refused before it recorded anything."""

from contextlib import suppress
from pathlib import Path

from al_runner.record.state import LOCK
from al_runner.system.claim import Claim, Taken

TRACES = {"state.json", "al-run.log"}  # every start writes these; all other files of a run's folder are records


def clear(folder: Path, root: Path) -> None:
    """Remove the folder of such a run, and the folders between it and `root` that are then empty.

    A folder stays if it holds a record, or if it belongs to another process.
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
