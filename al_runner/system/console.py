"""What all commands have in common: a mistake is one line, and a reader that has gone is no error."""

import functools
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import ParamSpec, TextIO

from al_runner.errors import UsageError
from al_runner.system.start import shortage

P = ParamSpec("P")


def command(name: str) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Let the command `name` print a UsageError as one line on stderr and return 2.

    It returns 1 if nobody reads its output any more.
    """

    def decorate(body: Callable[P, int]) -> Callable[P, int]:
        @functools.wraps(body)
        def main(*args: P.args, **kwargs: P.kwargs) -> int:
            try:
                code = body(*args, **kwargs)
                sys.stdout.flush()
            except UsageError as error:
                say(f"{name}: {error}", file=sys.stderr)
                return 2
            except BrokenPipeError:
                return silence_broken_pipe()
            except (OSError, MemoryError) as error:
                line = shortage(error)
                if line is None:
                    raise
                say(f"{name}: {line}", file=sys.stderr)
                return 2
            return code

        return main

    return decorate


def parsed(parser: ArgumentParser, argv: Sequence[str] | None) -> Namespace:
    """The options of a command line, of this process for None. Ends the process with 2 for a mistake.

    argparse reads `--name=--` as an option without a value, but lets it pass, so it is refused here.
    """
    words = sys.argv[1:] if argv is None else [*argv]
    empty = next((word for word in words if word.startswith("--") and word.endswith("=--")), None)
    if empty is not None:
        parser.error(f"{empty}: -- is no value; give another one")
    return parser.parse_args(words)


def say(*lines: str, file: TextIO | None = None) -> None:
    """Print lines that may hold names and errors of a stranger's: nothing in them steers the terminal."""
    print("\n".join(map(plain, lines)), file=file)


def plain(text: str) -> str:
    """A text without what is not printable but the ends of its lines."""
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)


def silence_broken_pipe() -> int:
    """Print nothing more after the reader has gone, as in `... | head`, so that Python ends quietly; returns 1."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
