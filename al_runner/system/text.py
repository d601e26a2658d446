"""Texts of messages: a list that is cut short, an error in one line, a count with its noun."""

from collections.abc import Sequence


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first `most` names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def one_line(error: BaseException) -> str:
    """An error's message without its line breaks, or the name of its type if it has no message."""
    return " ".join(str(error).split()) or type(error).__name__


def counted(count: int, noun: str) -> str:
    """A count with its noun, `1 round`, `1,097 labels`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
