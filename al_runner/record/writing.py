"""What is said if a run's folder can't be written."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from al_runner.errors import UsageError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError while `path` is written into a UsageError that names the fix."""
    try:
        yield
    except OSError as error:
        fix = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "make it writable"
        raise UsageError(
            f"{path} can't be written ({error.strerror}); {fix} and run the same command again: "
            "every round recorded so far is kept"
        ) from error
