"""Everything that al-compare and al-report say of a folder, in one object."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from al_runner.analysis.stats.case import Case, cases
from al_runner.analysis.stats.labels import labels_needed
from al_runner.analysis.stats.over_cases import average_ranks, penalties
from al_runner.analysis.stats.results import paired_tests, results
from al_runner.analysis.table.files import as_csv, write
from al_runner.analysis.tell.shown import Shown
from al_runner.analysis.tell.tables import shown_labels, shown_penalties, shown_ranks, shown_results, shown_tests
from al_runner.analysis.tell.verdict import verdict


@dataclass(frozen=True)
class Comparison:
    """The tables of a folder and what they come to; `load` gives the frame to build it from."""

    cases: list[Case]
    baseline: str
    results: pd.DataFrame
    labels: pd.DataFrame
    tests: pd.DataFrame
    penalties: pd.DataFrame
    ranks: pd.DataFrame

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        at: int | None = None,
        baseline: str | None = None,
        targets: Sequence[float] | None = None,
    ) -> "Comparison":
        """Compare the runs of a tidy table up to `at` labels; errors to reach in `targets` are fractions."""
        found = cases(frame, at, baseline)
        return cls(
            found,
            found[0].baseline,
            results(found),
            labels_needed(found, targets),
            paired_tests(found),
            penalties(found),
            average_ranks(found),
        )

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """The tables by name, as they are written to CSV."""
        tables = {"results": self.results, "labels": self.labels, "tests": self.tests}
        return {**tables, "penalties": self.penalties.reset_index(), "ranks": self.ranks}

    @property
    def shown(self) -> list[Shown]:
        """The tables as they are shown."""
        return [
            *shown_results(self.results, self.baseline),
            *shown_labels(self.labels, self.baseline),
            *shown_tests(self.tests, self.baseline),
            *shown_penalties(self.penalties, sum(case.each["seed"].nunique() > 1 for case in self.cases)),
            *shown_ranks(self.ranks),
        ]

    @property
    def verdicts(self) -> list[str]:
        """A sentence or three a case, which begins with the case's name."""
        return [f"{case.title}: {verdict(case)}" for case in self.cases]


def save_tables(comparison: Comparison, out: Path) -> list[Path]:
    """compare_*.csv, compare.md and compare.tex in `out`; the paths."""
    written = [write(out / f"compare_{name}.csv", as_csv(table)) for name, table in comparison.frames.items()]
    markdown = [*comparison.verdicts, *(table.as_markdown() for table in comparison.shown)]
    latex = ["% needs \\usepackage{booktabs}", *(table.as_latex() for table in comparison.shown)]
    for name, parts in (("compare.md", markdown), ("compare.tex", latex)):
        written.append(write(out / name, ("\n\n".join(parts) + "\n").encode()))
    return written
