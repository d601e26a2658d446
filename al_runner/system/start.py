"""The first seconds of a command: signals wait for the end of imports, and a machine without room is told in a line."""

import errno
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from al_runner.system.signals import held

FILES = (errno.EMFILE, errno.ENFILE)
NONE_LEFT = (errno.ENOMEM, errno.EAGAIN)
GPU_MEMORY = ("cuda out of memory", "hip out of memory", "cuda error: out of memory")
MEMORY = ("failed to map segment", "cannot allocate memory", "can't allocate memory", "can't start new thread")


@contextmanager
def starting(name: str) -> Iterator[None]:
    """A block of imports of the command `name`.

    Ends the process with code 130 after a SIGINT, and with code 1 and the line of `shortage` if there is one.
    """
    try:
        with held():
            yield
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        line = shortage(error)
        if line is None:
            raise
        sys.exit(f"{name}: {line}")


def shortage(error: BaseException) -> str | None:
    """What this process has too little of, and the fix; None for any other error."""
    chain: list[BaseException] = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None and before not in chain:
        chain.append(before)
    for link in chain:
        text = " ".join(str(link).split())
        if (isinstance(link, OSError) and link.errno in FILES) or "Too many open files" in text:
            return f"this process may open no more files ({text}); raise the limit (ulimit -n)"
        if any(words in text.lower() for words in GPU_MEMORY):
            return (
                f"the GPU has no more memory ({'. '.join(text.split('. ')[:2])}); end other programs on it "
                "(nvidia-smi), lower training.batch_size or budget.candidates, or take device=cpu"
            )
        out = isinstance(link, MemoryError) or (isinstance(link, OSError) and link.errno in NONE_LEFT)
        if out or any(words in text.lower() for words in MEMORY):
            reason = text or "MemoryError"
            return f"this process gets no more memory ({reason}); free some, or raise the limit (ulimit -v)"
    return None
