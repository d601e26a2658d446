"""How many labels are bought, and when: initial set, query size, stop, candidates."""

from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from al_runner.errors import UsageError


@dataclass(frozen=True)
class Budget:
    """The plan of purchases of one run; the fields are the keys of conf/budget/*.yaml.

    The run stops at whichever of the three limits comes first; the last query is cut to fit.
    """

    initial: int | str  # labels before the first fit, or "all"
    query: int  # labels bought in every later round
    balanced: bool = False  # the same number of every class in the initial set
    known: int | None = None  # where balanced: of the data set's first so many classes alone
    max_labelled: int | None = None  # stop at this many labels
    max_fraction: float | None = None  # stop at this fraction of the training set, in (0, 1]
    max_rounds: int | None = None  # stop after this many queries
    candidates: int | str = "all"  # what a query chooses from: a number, a multiple of the query ("30x") or "all"
    sets: int | None = None  # a query buys one of so many random sets of candidates that share their hidden class

    def __post_init__(self) -> None:
        if self.initial != "all":
            self._positive("initial", self.initial)
        self._positive("query", self.query)
        for name in ("max_labelled", "known", "sets"):
            if getattr(self, name) is not None:
                self._positive(name, getattr(self, name))
        if self.known and not self.balanced:
            raise UsageError(
                "budget.known is of an initial set with equally many of every class; set budget.balanced=true"
            )
        if self.max_fraction is not None and not 0 < self.max_fraction <= 1:
            raise UsageError(f"budget.max_fraction is {self.max_fraction}; it must be in (0, 1]")
        if self.max_rounds is not None and (not isinstance(self.max_rounds, int) or self.max_rounds < 0):
            raise UsageError(f"budget.max_rounds is {self.max_rounds}; it must be a whole number, 0 or more")
        if self.candidate_count < self.query:
            raise UsageError(
                f"budget.candidates is {self.candidates}, fewer than budget.query={self.query}; "
                'give at least as many, a multiple such as "30x", or "all"'
            )

    @staticmethod
    def _positive(name: str, value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UsageError(f"budget.{name} is {value}; it must be a whole number, 1 or more")

    @property
    def candidate_count(self) -> int:
        """How many ids a query chooses from; a number beyond any pool for "all"."""
        text = str(self.candidates)
        if text == "all":
            return 2**62
        digits, factor = (text[:-1], self.query) if text.endswith("x") else (text, 1)
        if not digits.isdigit():
            raise UsageError(f'budget.candidates is {text}; give a number, a multiple such as "30x", or "all"')
        return int(digits) * factor

    def choosing_from(self, most: int) -> "Budget":
        """With at most so many candidates, a strategy's `max_candidates`; UsageError where a query is larger."""
        if most < self.query:
            raise UsageError(f"strategy.max_candidates is {most}, fewer than budget.query={self.query}; raise it")
        return replace(self, candidates=min(self.candidate_count, most))

    def purchases(self, pool: int) -> list[int]:
        """Labels bought in round 0, 1, ... for a training set of `pool` images; UsageError where it is too small."""
        initial = pool if self.initial == "all" else int(self.initial)
        for name, value in (("initial", initial), ("query", self.query), ("max_labelled", self.max_labelled or 0)):
            if value > pool:
                raise UsageError(f"budget.{name} is {value}, but the training set has {pool} images; lower it")
        end = min(self.max_labelled or pool, int((self.max_fraction or 1) * pool))
        if end < initial:
            raise UsageError(f"budget.initial is {initial}, more than the {end} labels the run may buy; lower it")
        rounds = range(pool) if self.max_rounds is None else range(self.max_rounds)
        totals = [initial, *(min(initial + (i + 1) * self.query, end) for i in rounds)]
        steps = [initial, *(after - before for before, after in pairwise(totals))]
        return [size for size in steps if size > 0]

    def labelled(self, pool: int) -> list[int]:
        """Labels held in round 0, 1, ..."""
        return list(accumulate(self.purchases(pool)))
