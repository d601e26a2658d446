"""Everything that al-compare and al-report say of a folder, in one object."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from al_runner.analysis.stats.case import Case, cases
from al_runner.analysis.stats.labels import labels_needed
from al_runner.analysis.stats.over_cases import average_ranks, penalties
from al_runner.analysis.stats.results import paired_tests, results
from al_runner.analysis.stats.stopping import stopping
from al_runner.analysis.table.display import Names
from al_runner.analysis.table.files import as_csv, write
from al_runner.analysis.table.metrics import ERROR, Metric, stem_of
from al_runner.analysis.tell.latex import DEFAULT, latex_table
from al_runner.analysis.tell.saved import shown_saved
from al_runner.analysis.tell.shown import Shown, markdown
from al_runner.analysis.tell.stopping import shown_stopping
from al_runner.analysis.tell.tables import shown_labels, shown_penalties, shown_ranks, shown_results, shown_tests
from al_runner.analysis.tell.verdict import Naming, verdict


@dataclass(frozen=True)
class Comparison:
    """All tables of a folder, and their verdicts. `Comparison.of` builds it from a table of `load`."""

    cases: list[Case]
    baseline: str
    results: pd.DataFrame
    labels: pd.DataFrame
    tests: pd.DataFrame
    penalties: pd.DataFrame
    ranks: pd.DataFrame
    stopping: pd.DataFrame  # empty if no run recorded stopping rules
    label_cost: float | None = None  # the price of a label

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        at: int | None = None,
        baseline: str | None = None,
        targets: Sequence[float] | None = None,
        last: int | None = None,
        label_cost: float | None = None,
        metric: Metric = ERROR,
    ) -> "Comparison":
        """Compare the runs of a tidy table by `metric`, up to `at` labels.

        The errors to reach in `targets` are fractions. The final error is the mean of the `last` rounds, see
        `budget_of`. Raises UsageError as `cases`.
        """
        case_list = cases(frame, at, baseline, last, metric)
        return cls(
            case_list,
            case_list[0].baseline,
            results(case_list),
            labels_needed(case_list, targets),
            paired_tests(case_list),
            penalties(case_list),
            average_ranks(case_list),
            stopping(case_list),
            label_cost,
        )

    @property
    def metric(self) -> Metric:
        return self.cases[0].metric

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """The tables by name, as they are written to CSV."""
        tables = {"results": self.results, "labels": self.labels, "tests": self.tests}
        rules = {"stopping": self.stopping} if len(self.stopping) else {}
        return {**tables, "penalties": self.penalties.reset_index(), "ranks": self.ranks, **rules}

    def shown_results(self, names: Naming = str) -> list[Shown]:
        """The table of errors of every case."""
        return shown_results(_named(self.results, names), names(self.baseline), self.metric)

    def shown_saved(self, names: Naming = str) -> list[Shown]:
        """The table of labels saved, and money if a label has a price, of every case."""
        return shown_saved(_named(self.labels, names), names(self.baseline), self.label_cost, self.metric)

    def shown_stopping(self, names: Naming = str) -> list[Shown]:
        """What stopping rules save and cost in every case that recorded them."""
        return shown_stopping(_named(self.stopping, names), self.metric)

    def shown(self, names: Naming = str) -> list[Shown]:
        """All tables as they are shown; `names` gives the shown names of curves."""
        baseline, penalties = names(self.baseline), self.penalties.rename(names, axis=0).rename(names, axis=1)
        return [
            *self.shown_results(names),
            *self.shown_saved(names),
            *self.shown_stopping(names),
            *shown_labels(_named(self.labels, names), baseline, self.metric),
            *shown_tests(_named(self.tests, names), baseline, self.metric),
            *shown_penalties(penalties, sum(case.each["seed"].nunique() > 1 for case in self.cases)),
            *shown_ranks(_named(self.ranks, names), self.metric),
        ]

    def verdicts(self) -> list[str]:
        """A few sentences for each case, which begin with its title."""
        return [f"{case.title}: {verdict(case)}" for case in self.cases]


def _named(table: pd.DataFrame, names: Naming) -> pd.DataFrame:
    held = [column for column in ("curve", "first", "second") if column in table]
    return table.assign(**{column: table[column].map(names) for column in held})


def save_tables(
    comparison: Comparison,
    out: Path,
    names: Names | None = None,
    columns: tuple[str, ...] = DEFAULT,
    notes: Sequence[str] = (),
    command: str | None = None,
) -> list[Path]:
    """Write compare_*.csv, compare.md, and compare.tex with these columns into `out`. Returns the paths.

    Files of another metric than the test error have its name in theirs. In compare.md the `notes` follow the verdicts,
    and the `command` that made it comes last.
    """
    what = stem_of(comparison.metric, "compare")
    written = [write(out / f"{what}_{name}.csv", as_csv(table)) for name, table in comparison.frames.items()]
    listed = ["\n".join(f"- {markdown(note)}" for note in notes)] if notes else []
    marked = [*map(markdown, comparison.verdicts()), *listed, *(table.as_markdown() for table in comparison.shown())]
    if command:
        marked += ["Made with:", f"    {' '.join(command.splitlines())}"]  # a block of code, in which no mark counts
    latex = ["% needs \\usepackage{booktabs}"]
    latex += [latex_table(case, names or Names(), columns) for case in comparison.cases]
    for name, parts in ((f"{what}.md", marked), (f"{what}.tex", latex)):
        written.append(write(out / name, ("\n\n".join(parts) + "\n").encode()))
    return written
