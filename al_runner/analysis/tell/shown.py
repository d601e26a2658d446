"""A table of strings for a terminal, for Markdown and for LaTeX."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """A table of strings, its first `left` columns flush left."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    left: int = 1

    def as_text(self) -> str:
        """For a terminal."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if place < self.left else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (self.head, *self.rows)
        ]
        return "\n".join([self.title, *lines, *([self.note] if self.note else [])])

    def as_markdown(self) -> str:
        """A GitHub table under its title."""
        rule = ["---" if place < self.left else "--:" for place in range(len(self.head))]
        lines = [
            "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (self.head, rule, *self.rows)
        ]
        return "\n".join([f"**{self.title}**", "", *lines, *(["", self.note] if self.note else [])])

    def as_latex(self) -> str:
        """A float that wants the package booktabs."""
        columns = "".join("l" if place < self.left else "r" for place in range(len(self.head)))
        lines = [" & ".join(map(_latex, row)) + r" \\" for row in (self.head, *self.rows)]
        caption = _latex(f"{self.title}. {self.note}".strip())
        body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:]]
        end = [r"\bottomrule", r"\end{tabular}", rf"\caption{{{caption}}}", r"\end{table}"]
        return "\n".join([r"\begin{table}", r"\centering", *body, *end])


def _latex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "±": r"$\pm$", "^": r"\^{}", "<": "$<$", ">": "$>$", "~": r"\~{}"}
    return "".join(special.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)
