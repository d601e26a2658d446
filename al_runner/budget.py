"""How many labels are bought, and when: initial set, query size, stop, candidates."""

from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Annotated, Literal

from pydantic import StringConstraints

from al_runner.errors import UsageError
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, CountOrZero, Fraction, Means, ProperShare, Reads

Words = Annotated[str, StringConstraints(pattern=r"^\w+$"), Reads("random, balanced, or the name of a strategy")]
Multiple = Annotated[str, StringConstraints(pattern=r"^(\d{1,9}x?|all)$"), Reads('a multiple such as "30x", or all')]


@options("budget")
@dataclass(frozen=True)
class Budget:
    """The plan of purchases of one run; the fields are the keys of conf/budget/*.yaml.

    A run stops at the first of `max_labelled`, `max_fraction` and `max_rounds`. Switch one off with null, as in
    budget.max_rounds=null. If the last query would pass a limit, it buys fewer labels.
    """

    initial: Annotated[Count | Literal["all"], Means("labels before the first fit")]
    query: Annotated[Count, Means("labels bought in every later round")]
    initial_by: Annotated[
        Words,
        Means(
            "how the first labels are chosen: random; balanced, the same number of every class; or a strategy that "
            "needs no trained net, such as typiclust"
        ),
    ] = "random"
    known: Annotated[
        Count | None, Means("how many classes a balanced initial set has, the data set's first ones; null: all")
    ] = None
    max_labelled: Annotated[Count | None, Means("stop at this many labels")] = None
    max_fraction: Annotated[Fraction | None, Means("stop at this fraction of the training set")] = None
    max_rounds: Annotated[CountOrZero | None, Means("stop after this many queries")] = None
    candidates: Annotated[Count | Multiple, Means("images, drawn at random, that a query chooses from")] = "all"
    sets: Annotated[
        Count | None, Means("number of random sets of candidates, each of one hidden class; a query buys the best set")
    ] = None
    val_share: Annotated[
        ProperShare | None,
        Means(
            "share of the labelled images that is set aside for validation, where nothing is trained on it; null: the "
            "data set's own validation images, which cost no labels"
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.known and not self.balanced:
            raise UsageError(
                "budget.known needs an initial set with the same number of images of every class; "
                "set budget.initial_by=balanced"
            )
        if self.candidate_count < self.query:
            raise UsageError(
                f"budget.candidates is {self.candidates}, fewer than budget.query={self.query}; "
                'give at least as many, a multiple such as "30x", or "all"'
            )

    @property
    def balanced(self) -> bool:
        """Whether the initial set has equally many images of every class."""
        return self.initial_by == "balanced"

    @property
    def candidate_count(self) -> int:
        """How many ids a query chooses from; for "all", a number larger than any pool."""
        text = str(self.candidates)
        if text == "all":
            return 2**62
        return int(text[:-1]) * self.query if text.endswith("x") else int(text)

    def choosing_from(self, most: int) -> "Budget":
        """The budget with at most `most` candidates, a strategy's `max_candidates`.

        Raises UsageError if a query buys more.
        """
        if most < self.query:
            raise UsageError(f"strategy.max_candidates is {most}, fewer than budget.query={self.query}; raise it")
        return replace(self, candidates=min(self.candidate_count, most))

    def set_aside(self, labelled: int) -> int:
        """How many of so many labelled images are for validation: `val_share` of them, rounded.

        Of two images or more at least one is, and at least one is not. It is 0 without `val_share`.
        """
        if self.val_share is None:
            return 0
        return max(0, min(max(1, round(self.val_share * labelled)), labelled - 1))

    def end(self, pool: int) -> int:
        """The most labels that a run may have, of a training set of `pool` images."""
        share = round((self.max_fraction or 1) * pool, 6)  # .29 * 100 is 28.999999999999996
        return min(self.max_labelled or pool, int(share))

    def purchases(self, pool: int) -> list[int]:
        """Labels bought in round 0, 1, ... of a training set of `pool` images. Raises UsageError if it is too small."""
        initial = pool if self.initial == "all" else int(self.initial)
        for name, value in (("initial", initial), ("query", self.query), ("max_labelled", self.max_labelled or 0)):
            if value > pool:
                raise UsageError(f"budget.{name} is {value}, but the training set has {pool} images; lower it")
        if self.val_share is not None and initial < 2:
            raise UsageError(
                f"budget.val_share is {self.val_share}, but a first purchase of {initial} label can't be shared; begin "
                "with 2 labels or more (raise budget.initial, or give another image its label beforehand)"
            )
        end = self.end(pool)
        if end < initial:
            raise UsageError(
                f"budget.initial is {initial}, more than the {end} labels the run may buy; lower it, or "
                "raise budget.max_labelled and budget.max_fraction"
            )
        rounds = range(pool if self.max_rounds is None else min(self.max_rounds, pool))  # one label a round at least
        totals = [initial, *(min(initial + (i + 1) * self.query, end) for i in rounds)]
        steps = [initial, *(after - before for before, after in pairwise(totals))]
        return [size for size in steps if size > 0]

    def labelled(self, pool: int) -> list[int]:
        """Size of the labelled set in round 0, 1, ... of a training set of `pool` images; errors as in `purchases`."""
        return list(accumulate(self.purchases(pool)))
