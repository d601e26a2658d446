"""Runs of a sweep that another process is carrying out, such as the same sweep on a second machine.

A sweep leaves such a run to the other process. Once that process has ended, the sweep looks at the run again: it is
done, or it goes on here.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from time import sleep

from al_runner.record.state import LOCK
from al_runner.settings.explain import chain_of
from al_runner.system.claim import Claim, Taken

log = logging.getLogger(__name__)

PAUSE = 5.0  # seconds between two looks


def taken(error: BaseException | None) -> bool:
    """Whether a run could not begin because another process has its folder."""
    return error is not None and any(isinstance(link, Taken) for link in chain_of(error))


class Elsewhere:
    """The jobs of a sweep, by their number, that other processes are carrying out. `folders` are those of all jobs."""

    def __init__(self, folders: Sequence[Path | None]):
        self._folders, self._numbers = folders, list[int]()

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def leave(self, number: int, name: str) -> None:
        """Leave a job to the process that has its folder; `name` is what the log calls it."""
        self._numbers.append(number)
        log.info("%s: another process is carrying it out; this sweep waits for its end before it ends itself", name)

    def freed(self, stopping: Callable[[], bool] = lambda: False) -> list[int]:
        """Wait until other processes have let go of some jobs, and return these; none if none are left.

        None are returned, too, once `stopping` says so.
        """
        while self._numbers and not stopping():
            free = [number for number in [*self._numbers] if self._is_free(number)]
            for number in free:  # in place, since another thread may leave a job meanwhile
                self._numbers.remove(number)
            if free:
                return free
            sleep(PAUSE)
        return []

    def _is_free(self, number: int) -> bool:
        folder = self._folders[number]
        if folder is None:
            return True
        try:
            with Claim(folder / LOCK):
                return True
        except Taken:
            return False
        except OSError:  # the job itself will say what is wrong with its folder
            return True
