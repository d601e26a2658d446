"""Commands on a terminal of their own."""

import os
import pty
import re
import termios
from collections.abc import Callable, Sequence
from pathlib import Path
from select import select
from typing import NamedTuple

from command import ENVIRONMENT

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Ended(NamedTuple):
    """How a command ended."""

    code: int  # 128 + n if signal n ended it
    text: str  # all that it wrote
    same: bool  # whether the terminal's modes are as they were before

    @property
    def plain(self) -> str:
        """The text without control sequences."""
        return CONTROL.sub("", self.text)


def require_one_table(ended: Ended, results: Path) -> None:
    """Of a sweep of two runs of four rounds: one live table was drawn, and the lines of rounds are in the logs."""
    assert (ended.code, ended.same) == (0, True), ended.plain
    text = " ".join(ended.plain.split())
    assert "2 done, 8 of 8 rounds" in text
    assert "all 2 jobs are done" in text
    assert "| round" not in text
    assert ended.text.count("\x1b[?25l") == ended.text.count("\x1b[?25h") == 1
    assert [file.read_text().count("| round") for file in results.rglob("seed*/al-run.log")] == [4, 4]


def on_a_terminal(command: Sequence[str], interrupt_at: str = "", also: Callable[[str], None] | None = None) -> Ended:
    """Run `command` on a new terminal of 120 columns.

    Ctrl-C is pressed once, after the text `interrupt_at` was written, if it is not empty. `also` is called with the
    text so far after every piece of output.
    """
    terminal, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    before = termios.tcgetattr(theirs)
    child = os.fork()
    if child == 0:
        os.close(terminal)
        os.login_tty(theirs)
        environment = {**ENVIRONMENT, "COLUMNS": "120", "TERM": "xterm"}
        os.execvpe(command[0], [*command], environment)
    output, pressed, ended = b"", False, None
    while ended is None or _more(terminal):
        if ended is None:
            process, status = os.waitpid(child, os.WNOHANG)
            ended = status if process else None
        if not _more(terminal):
            continue
        output += os.read(terminal, 65536)
        if also is not None:
            also(output.decode(errors="replace"))
        if interrupt_at and not pressed and interrupt_at.encode() in output:
            os.write(terminal, b"\x03")
            pressed = True
    same = termios.tcgetattr(theirs) == before
    os.close(theirs)
    os.close(terminal)
    code = os.waitstatus_to_exitcode(ended)
    return Ended(128 - code if code < 0 else code, output.decode(errors="replace"), same)


def _more(terminal: int) -> bool:
    return bool(select([terminal], [], [], 0.05)[0])
