"""The result of a comparison in sentences, and a list of missing runs."""

from collections.abc import Callable, Collection, Sequence
from math import isfinite, isnan

from al_runner.analysis.stats.case import Case
from al_runner.analysis.stats.intervals import interval
from al_runner.analysis.stats.paired import DIGITS, LEAST_PAIRS, LEVEL, Test
from al_runner.analysis.table.metrics import ERROR
from al_runner.analysis.table.names import curve_names
from al_runner.analysis.tell.text import amount, p_value, points, seeds_text
from al_runner.system.text import counted, listed

Naming = Callable[[str], str]  # from a curve's name in a configuration to its shown name
NEARLY_ALL = 0.8  # share of all labels from which on strategies are about to meet
MOST_SEEDS = 1000  # more are no plan for anybody
FEW_IMAGES = 1000  # in a smaller test set one image is more than 0.1 points


def verdict(case: Case, names: Naming = str) -> str:
    """Which curve of a case ends lowest, by how much and how surely; or why nothing is ranked.

    `names` gives the shown names of curves.
    """
    if case.ranked.empty:
        return " ".join([refusal(case, names), *cautions(case)])
    ranked = [*_at_the_end(case, names), *_on_the_way(case, names), *_not_ranked(case, names)]
    return " ".join([*ranked, *cautions(case)])


def cautions(case: Case) -> list[str]:
    """Warnings that differences at this budget are small or doubtful: few labels left to buy, or few test images."""
    warnings = []
    pool, sizes = case.pool_images, case.test_images()
    images = min(sizes, default=None)
    if pool and case.budget.end >= NEARLY_ALL * pool:
        warnings.append(
            f"Caution: {case.budget.end:,} of all {pool:,} labels are bought by then, and with all of them every "
            "strategy is the same; compare them with fewer labels (--at)."
        )
    if len(sizes) > 1:
        shown = listed([f"{size:,}" for size in sizes])
        warnings.append(f"Caution: the runs don't share a test set; they were measured on {shown} images.")
    if images and images < FEW_IMAGES:
        one = f", of which one is {100 / images:.2g} points" if case.metric == ERROR else ""
        measured = "errors are" if case.metric == ERROR else f"the {case.metric.words} is"
        warnings.append(f"Caution: {measured} measured on {images:,} test images{one}.")
    return warnings


def _on_the_way(case: Case, names: Naming) -> list[str]:
    """Sentences on the curve with the lowest mean error over the budget, if it is not the one that ends lowest."""
    lowest, best = case.lowest("area"), str(case.ranked.index[0])
    if not lowest or best in lowest:
        return []
    area = amount(case.metric, *interval(case.values(lowest[0], "area")))
    found = f"On average over the whole budget {names(lowest[0])} has the lowest {case.metric.words}: {area}."
    return [found, *_held_against(case, names, lowest[0], [best], "area")]


def _not_ranked(case: Case, names: Naming) -> list[str]:
    """One sentence that names the curves with too few seeds, if there are some."""
    few = [f"{names(name)} ({counted(count, 'seed')})" for name, count in case.unranked.items()]
    return [f"Not ranked, because other strategies have more seeds: {listed(few)}."] if few else []


def _at_the_end(case: Case, names: Naming) -> list[str]:
    """Sentences that compare the curve that ends lowest with the baseline and the next best."""
    best, words = str(case.ranked.index[0]), case.metric.words
    final = amount(case.metric, *interval(case.values(best, "final")))
    found = f"With {case.budget.end:,} labels {names(best)} has the lowest {words}: {final}{_of_rounds(case)}."
    if case.baseline not in case.ranked.index:
        return [found, f"There is no {names(case.baseline)} with enough finished seeds to hold it against."]
    second = str(case.ranked.index[1])
    if best == case.baseline:
        nothing = "none of the ranked strategies" if case.unranked else "no other strategy"
        return [found, f"So {nothing} beats it.", *_held_against(case, names, best, [second])]
    return [found, *_held_against(case, names, best, list(dict.fromkeys((case.baseline, second))))]


def _held_against(case: Case, names: Naming, best: str, others: Sequence[str], measure: str = "final") -> list[str]:
    """A sentence for each of the others: how far `best` is below it, and whether that may be chance.

    `best` has the lowest mean over the seeds that all ranked curves share. Two of them may share more seeds, over which
    it is not lower.
    """
    sentences = []
    for other in others:
        test = case.test(best, other, measure)
        pairs, lead = f"{test.pairs} paired seeds", points(case.metric, 0.0 - test.mean, test.half)
        if test.mean == 0 and test.half == 0:
            sentences.append(f"It is equal to {names(other)} in each of {pairs}.")
        elif isnan(test.t_p):  # no variance
            sentences.append(f"It is {lead} below {names(other)}, the same in each of {pairs}.")
        elif test.mean > 10.0**-DIGITS:
            above = points(case.metric, test.mean, test.half)
            sentences.append(f"But over all {test.pairs} seeds that both have, it is {above} above {names(other)}.")
        else:
            p = case.corrected_p(best, other, measure)
            facts = f"{pairs}, {p_value(p)} after correction"
            if not isnan(p) and p < LEVEL:
                sentences.append(f"It is {lead} below {names(other)}, beyond chance ({facts}).")
            else:
                needed = _needed(case.seeds_needed(best, other, measure))
                sentences.append(f"It is {lead} below {names(other)}, which may be chance ({facts}; {needed}).")
    return sentences


def _needed(seeds: float) -> str:
    """How many seeds would be enough, as a clause."""
    if not isfinite(seeds):
        return "no number of seeds would tell"
    return f"{f'more than {MOST_SEEDS:,}' if seeds > MOST_SEEDS else f'about {seeds_text(seeds)}'} seeds would tell"


def _of_rounds(case: Case) -> str:
    late = case.budget.late
    return f" (mean of the last {len(late)} rounds)" if len(late) > 1 else ""


def refusal(case: Case, names: Naming = str) -> str:
    """Why a case is not ranked, how many seeds it needs by its variance, and what would help."""
    counts = {name: len(case.values(name, "final")) for name in case.strategies or case.parts}
    have = ", ".join(f"{names(name)} {count}" for name, count in counts.items())
    if len(counts) < 2:
        return (
            f"Not ranked: {names(next(iter(counts)))} is the only strategy here; run another one with the same seeds."
        )
    reason = (
        f"Not ranked: a ranking needs {LEAST_PAIRS} paired seeds of every strategy. Seeds that reach "
        f"{case.budget.end:,} labels: {have}"
    )
    return ". ".join([reason, _variance(case, names), *_other_budget(case)]) + "."


def _variance(case: Case, names: Naming) -> str:
    others = [name for name in case.strategies if name != case.baseline]
    held = {name: case.test(name, case.baseline, "final") for name in others if case.baseline in case.strategies}
    judged = [(name, test) for name, test in held.items() if test.pairs >= 2 and isfinite(test.seeds_needed)]
    if not judged:
        reason = _unknown(held.values(), names(case.baseline))
        return f"{reason}, so the number of seeds it takes is unknown; begin with {LEAST_PAIRS}"
    needs = [f"{names(name)} {max(LEAST_PAIRS, int(test.seeds_needed)):,}" for name, test in judged]
    name = names(case.baseline)
    return f"To tell a strategy from {name}, the observed variance asks for about this many: {listed(needs)}"


def _unknown(tests: Collection[Test], baseline: str) -> str:
    """Why the tests against the baseline show no variance, as the beginning of a sentence."""
    if not tests:
        return f"There is no {baseline} to compare with"
    most = max(test.pairs for test in tests)
    if most == 0:
        return f"No strategy shares a finished seed with {baseline}"
    if most == 1:
        return "One seed shows no variance"
    return f"The differences to {baseline} are the same in every seed"


def _other_budget(case: Case) -> list[str]:
    """A sentence on the largest budget that would be ranked; empty if there is none."""
    at = rankable(case)
    return [] if at is None else [f"With --at {at} there are {LEAST_PAIRS} paired seeds of every curve"]


def rankable(case: Case) -> int | None:
    """The most labels that three shared seeds of every curve reach; None if there are no such seeds."""
    ends = case.each.pivot(index="seed", columns="curve", values="labelled").dropna().min(axis=1)
    if len(ends) < LEAST_PAIRS:
        return None
    at = int(ends.sort_values().iloc[-LEAST_PAIRS])
    return at if at > case.budget.start else None


def gaps(case: Case) -> list[str]:
    """Lines on missing runs of a case: seeds that only other curves have, and runs that stop before the budget ends."""
    where = case.title
    seeds = set(case.each["seed"])
    absent = [
        f"{name} seed {seed}"
        for name in case.parts
        for seed in sorted(seeds - set(case.each.loc[case.each["curve"] == name, "seed"]))
    ]
    short = case.each[~case.each["finished"]]
    unfinished = [f"{row['curve']} seed {row['seed']} (to {row['labelled']:,})" for row in short.to_dict("records")]
    lines = [f"{where}: missing, though other strategies have it: {listed(absent)}"] if absent else []
    if unfinished:
        lines.append(f"{where}: left out, short of {case.budget.end:,} labels: {listed(unfinished)}")
    if case.baseline not in case.parts:
        alike = sorted(set(curve_names(case.runs[case.runs["strategy"] == case.baseline])))
        fix = f"choose one of {', '.join(alike)} as --baseline" if alike else "run it, or name another --baseline"
        lines.append(f"{where}: no curve {case.baseline} to compare with; {fix}")
    return lines


def all_gaps(case_list: Sequence[Case]) -> list[str]:
    """`gaps` of every case."""
    return [gap for case in case_list for gap in gaps(case)]
