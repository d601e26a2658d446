"""Checks whether the runs of a folder meet what the literature asks of a comparison.

Kottke et al. (2017): paired and repeated runs. Oliver et al. (2018): validation sets that the budget can pay for.
Mittal et al. (2019), Munjal et al. (2022): a well-trained random baseline, several seeds. Lüth et al. (2023): several
query sizes and budgets, hyperparameters chosen on labelled images only.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from al_runner.analysis.report.evidence import PASS, UNKNOWN, WARNING, Check, Evidence, part_of
from al_runner.analysis.stats.paired import LEAST_PAIRS
from al_runner.analysis.table.names import case_words
from al_runner.analysis.tell.verdict import all_gaps
from al_runner.system.text import listed

TUNED = ("plain_tuned", "dropout_tuned")  # the learners that choose hyperparameters in every fit


def checklist(evidence: Evidence) -> list[Check]:
    """Every check, in the order in which a reviewer would ask."""
    return [
        initial_sets(evidence),
        seeds(evidence),
        baseline(evidence),
        alike(evidence),
        full_data(evidence),
        test_data(evidence),
        validation(evidence),
        varied(evidence),
        whole(evidence),
        device(evidence),
        code(evidence),
    ]


def initial_sets(evidence: Evidence) -> Check:
    """All strategies of one seed start from the same labelled images."""
    name, source = "Paired initial sets", "Kottke et al., 2017"
    differing, known = [], 0
    for case in evidence.cases:
        for seed, runs in case.each.groupby("seed", sort=True):
            starts = {
                tuple(sorted(bought.loc[bought["round"] == 0, "id"]))
                for folder in runs["folder"]
                if (bought := evidence.bought.get(folder)) is not None
            }
            known += len(starts) > 0
            differing += [f"{case.key[0]} seed {seed}"] if len(starts) > 1 else []
    if not known:
        return Check(name, UNKNOWN, "No acquired.csv is here, so the initial sets can't be compared.", source)
    if differing:
        return Check(name, WARNING, f"Strategies start from different images: {listed(differing)}.", source)
    return Check(name, PASS, "In every seed all strategies start from the same images.", source)


def seeds(evidence: Evidence) -> Check:
    """There are enough paired repetitions."""
    name, source = "Several seeds", "Munjal et al., 2022"
    counts = {
        f"{case.title} {curve}": len(case.values(curve, "final")) for case in evidence.cases for curve in case.parts
    }
    few = [f"{curve} {count}" for curve, count in counts.items() if count < LEAST_PAIRS]
    if few:
        return Check(name, WARNING, f"Fewer than {LEAST_PAIRS} finished seeds: {listed(few)}.", source)
    return Check(name, PASS, f"Every strategy has {min(counts.values())} finished seeds or more.", source)


def baseline(evidence: Evidence) -> Check:
    """Random sampling was run, and tuned."""
    name, source = "Tuned random baseline", "Mittal et al., 2019; Munjal et al., 2022"
    without = [case.key[0] for case in evidence.cases if case.baseline not in case.parts]
    if without:
        return Check(name, WARNING, f"No {evidence.cases[0].baseline} on {listed(without)}.", source)
    learners = sorted({case.key[2] for case in evidence.cases})
    if all(learner in TUNED for learner in learners):
        return Check(name, PASS, f"It was run, and learner={listed(learners)} tunes every fit.", source)
    shown = listed(learners) or "unknown"
    return Check(name, WARNING, f"It was run, but learner={shown} does not tune it; plain_tuned does.", source)


def alike(evidence: Evidence) -> Check:
    """Runs that are compared differ in nothing but their strategy and seed."""
    name, source = "Equal training and data", "Munjal et al., 2022"
    if evidence.unlike:
        return Check(name, WARNING, " ".join(f"{line}." for line in evidence.unlike), source)
    if not evidence.configs:
        return Check(name, UNKNOWN, "The folder has no configuration of the runs.", source)
    return Check(name, PASS, "The strategies of a comparison differ in no other setting.", source)


def full_data(evidence: Evidence) -> Check:
    """The error of training on all labels is shown."""
    without = [case.title for case in evidence.cases if case.truth.empty]
    if without:
        return Check("Full-data line", WARNING, f"No run of strategy=full for {listed(without)}.")
    return Check("Full-data line", PASS, "The error of training on all labels is shown with the curves.")


def test_data(evidence: Evidence) -> Check:
    """Test images decide nothing in a run."""
    name, source = "Test data never used to choose", "Lüth et al., 2023"
    ours = [folder for folder in evidence.folders if folder in evidence.configs]
    if not ours:
        return Check(
            name,
            UNKNOWN,
            "The folder has no configuration of the runs, so it is unknown what their test data were used for.",
            source,
        )
    by_test = [folder for folder in ours if part_of(evidence.configs[folder], "strategy").get("images") == "test"]
    if by_test:
        text = f"These upper lines choose by test images, and are not ranked: {listed(by_test)}."
        return Check(name, WARNING, text, source)
    text = (
        "By construction: al-run stops training and chooses weights by validation error, strategies see no test "
        "images, and the errors here are those of each round's own net, not the best so far."
    )
    return Check(name, PASS, text, source)


def validation(evidence: Evidence) -> Check:
    """The validation set is a part of the labels bought, or not larger than the labelling budget."""
    name, source = "Validation set within the budget", "Oliver et al., 2018"
    sizes: dict[tuple[str, float, int], None] = {}
    paid: dict[str, None] = {}
    for case in evidence.cases:
        for folder in case.each["folder"]:
            share = evidence.val_share(folder)
            if share is not None:
                paid[f"{case.key[0]} {share:g} of them"] = None
                continue
            size = part_of(evidence.configs.get(folder, {}), "dataset", "split").get("val")
            if isinstance(size, int | float) and isfinite(size):
                sizes[case.key[0], float(size), case.budget.end] = None
    aside = f"A part of the labelled images is set aside for validation: {listed([*paid])}. " if paid else ""
    state, text = (PASS, "The budget pays for it.") if paid and not sizes else beside_the_labels([*sizes])
    return Check(name, state, aside + text, source)


def beside_the_labels(sizes: Sequence[tuple[str, float, int]]) -> tuple[str, str]:
    """The finding about validation sets that no budget pays for: the data set, size or share, and labels at the end."""
    if not sizes:
        return UNKNOWN, "The size of the validation set is not recorded."
    sized = [(where, int(size), end) for where, size, end in sizes if size >= 1]
    if not sized:
        return UNKNOWN, "The validation set is a share of the training set, whose size is not recorded."
    large = [f"{size:,} images on {where}, {end:,} labels bought" for where, size, end in sized if size > end]
    if large:
        return WARNING, f"The validation set is larger than the final labelled set: {listed(large)}."
    text = "; ".join(f"{where}: {size:,} images, {end:,} labels bought at the end" for where, size, end in sized)
    return PASS, f"{text}. Until as many labels are bought, early stopping uses more labels than training."


def varied(evidence: Evidence) -> Check:
    """There are runs with several query sizes or budgets."""
    name, source = "Query sizes and budgets varied", "Lüth et al., 2023"
    strategies: dict[tuple[str, ...], dict[str, set[str]]] = {}  # by data set and model, and by budget
    for case in evidence.cases:
        by_budget = strategies.setdefault(case.key[:2], {})
        for folder, strategy in zip(case.runs["folder"], case.runs["strategy"], strict=True):
            spent = sorted(_budget(evidence.configs.get(folder, {})).items())
            by_budget.setdefault(f"{case.key[4]} {spent}", set()).add(strategy)
    compared = {key: sum(len(names) > 1 for names in by_budget.values()) for key, by_budget in strategies.items()}
    single = [case_words(key) for key, count in compared.items() if count < 2]
    if single:
        return Check(
            name, WARNING, f"Only one query size and budget for {listed(single)}; others may give other ranks.", source
        )
    return Check(name, PASS, "Every data set and model was run with several.", source)


def _budget(config: Mapping[str, Any]) -> dict[str, Any]:
    budget = part_of(config, "budget")
    return {key: budget[key] for key in ("initial", "query") if key in budget}


def whole(evidence: Evidence) -> Check:
    """No run is missing or unfinished."""
    missing = [*evidence.missing, *all_gaps(evidence.cases)]
    if missing:
        return Check("No run missing or unfinished", WARNING, " ".join(f"{text}." for text in missing))
    return Check("No run missing or unfinished", PASS, "Every strategy has every seed, up to the whole budget.")


def device(evidence: Evidence) -> Check:
    """The device of every run is recorded; without it, times mean nothing."""
    starts = {folder: evidence.provenance.get(folder, ()) for folder in evidence.folders}
    devices = {str(start["device"]) for of_run in starts.values() for start in of_run if "device" in start}
    lacking = [folder for folder, of_run in starts.items() if not of_run]
    if not devices:
        return Check("Device recorded", UNKNOWN, "The folder has no provenance.json.")
    if lacking:
        return Check("Device recorded", WARNING, f"Not for {listed(lacking)}.")
    if len(devices) > 1:
        return Check(
            "Device recorded",
            WARNING,
            f"There are several, so times can't be compared: {listed(sorted(devices))}.",
        )
    return Check("Device recorded", PASS, f"All runs: {devices.pop()}.")


def code(evidence: Evidence) -> Check:
    """All runs were made with one recorded commit of the code."""
    commits = {
        str(entry.get("git_commit"))
        for entries in evidence.provenance.values()
        for entry in entries
        if entry.get("git_commit")
    }
    name = "One recorded state of the code"
    if not commits:
        return Check(name, UNKNOWN, "No commit is recorded.")
    dirty = sorted(commit for commit in commits if commit.endswith("-dirty"))
    if dirty:
        return Check(name, WARNING, f"Runs were made with uncommitted changes: {listed([c[:12] for c in dirty])}.")
    if len(commits) > 1:
        return Check(
            name, WARNING, f"Runs come from {len(commits)} commits: {listed([c[:12] for c in sorted(commits)])}."
        )
    starts = [start for folder in evidence.folders for start in evidence.provenance.get(folder, ({},))]
    unknown = sum(not start.get("git_commit") for start in starts)
    if unknown:
        return Check(
            name, WARNING, f"Commit {commits.pop()[:12]}, but it is not recorded for {unknown} starts of runs."
        )
    return Check(name, PASS, f"Commit {commits.pop()[:12]}.")
