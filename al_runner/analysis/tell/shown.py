"""Tables of strings for a terminal, for Markdown and for the page."""

import re
from dataclasses import dataclass

# Characters that have a meaning in GitHub's Markdown; a single _ inside a name and a < before a number have none.
MARKS = re.compile(r"<(?=[A-Za-z/!?])|&(?=[A-Za-z#])|[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
ENTITIES = {"<": "&lt;", "&": "&amp;"}


@dataclass(frozen=True)
class Shown:
    """A table of strings, its first `left` columns flush left."""

    title: str
    where: str  # the case, empty for a table over all cases
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    left: int = 1

    @property
    def heading(self) -> str:
        """The title, with the case if there is one."""
        return ": ".join(filter(None, (self.title, self.where)))

    def as_text(self) -> str:
        """The table as plain text for a terminal."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if place < self.left else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (self.head, *self.rows)
        ]
        return "\n".join([self.heading, *lines, *([self.note] if self.note else [])])

    def as_markdown(self) -> str:
        """A GitHub table under its title."""
        rule = ["---" if place < self.left else "--:" for place in range(len(self.head))]
        head, *rows = ([*map(markdown, row)] for row in (self.head, *self.rows))
        lines = ["| " + " | ".join(row) + " |" for row in (head, rule, *rows)]
        note = ["", markdown(self.note)] if self.note else []
        return "\n".join([f"**{markdown(self.heading)}**", "", *lines, *note])


def markdown(text: str) -> str:
    """Plain text escaped for Markdown: no tag, no entity, no link, no emphasis, no end of a table's cell."""
    return MARKS.sub(lambda mark: ENTITIES.get(mark[0], f"\\{mark[0]}"), text)
