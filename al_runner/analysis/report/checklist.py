"""What the literature asks of a comparison, held against the very runs of a folder.

Kottke et al. (2017): paired and repeated runs. Oliver et al. (2018): validation sets of a size that the budget allows.
Mittal et al. (2019), Munjal et al. (2022): a well-trained random baseline, several seeds. Lüth et al. (2023): query
sizes and budgets varied, hyperparameters chosen on what is labelled.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from al_runner.analysis.report.evidence import PASS, UNKNOWN, WARNING, Check, Evidence, part_of
from al_runner.analysis.stats.paired import LEAST_PAIRS
from al_runner.analysis.tell.text import listed
from al_runner.analysis.tell.verdict import all_gaps


def checklist(evidence: Evidence) -> list[Check]:
    """Every check, in the order in which a reviewer would ask."""
    return [
        initial_sets(evidence),
        seeds(evidence),
        baseline(evidence),
        full_data(evidence),
        test_data(evidence),
        validation(evidence),
        varied(evidence),
        whole(evidence),
        device(evidence),
        code(evidence),
    ]


def initial_sets(evidence: Evidence) -> Check:
    """Strategies of one seed start from the same labelled images."""
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
    """Enough paired repetitions."""
    name, source = "Several seeds", "Munjal et al., 2022"
    counts = {
        f"{case.key[0]} {curve}": len(case.values(curve, "final")) for case in evidence.cases for curve in case.parts
    }
    few = [f"{curve} {count}" for curve, count in counts.items() if count < LEAST_PAIRS]
    if few:
        return Check(name, WARNING, f"Fewer than {LEAST_PAIRS} finished seeds: {listed(few)}.", source)
    return Check(name, PASS, f"Every strategy has {min(counts.values())} finished seeds or more.", source)


def baseline(evidence: Evidence) -> Check:
    """Random sampling is there, trained as well as the others, and tuned."""
    name, source = "Tuned random baseline", "Mittal et al., 2019; Munjal et al., 2022"
    without = [case.key[0] for case in evidence.cases if case.baseline not in case.parts]
    if without:
        return Check(name, WARNING, f"No {evidence.cases[0].baseline} on {listed(without)}.", source)
    learners = sorted({case.key[2] for case in evidence.cases})
    if all("tuned" in learner for learner in learners):
        return Check(name, PASS, f"It is here, and learner={listed(learners)} tunes every fit.", source)
    shown = listed(learners) or "unknown"
    text = f"It is here and trained as the others are, but learner={shown} does not tune it; plain_tuned does."
    return Check(name, WARNING, text, source)


def full_data(evidence: Evidence) -> Check:
    """What all labels would give."""
    without = [case.title for case in evidence.cases if case.truth.empty]
    if without:
        return Check("Full-data line", WARNING, f"No run of strategy=full for {listed(without)}.")
    return Check("Full-data line", PASS, "Training on all labels is shown beside the curves.")


def test_data(evidence: Evidence) -> Check:
    """Test images decide nothing."""
    name, source = "Test data never used to choose", "Lüth et al., 2023"
    ours = [folder for case in evidence.cases for folder in case.each["folder"] if folder in evidence.configs]
    if not ours:
        return Check(
            name,
            UNKNOWN,
            "No configuration of the runs is here, so what their test data were used for is not known.",
            source,
        )
    text = (
        "By construction: al-run stops and restores weights by validation error, strategies see unlabelled pool images "
        "alone, and errors here are those of each round's own net, not the best so far."
    )
    return Check(name, PASS, text, source)


def validation(evidence: Evidence) -> Check:
    """A validation set that one could have labelled."""
    name, source = "Validation set within the budget", "Oliver et al., 2018"
    sizes: dict[tuple[str, float, int], None] = {}
    for case in evidence.cases:
        for folder in case.each["folder"]:
            size = part_of(evidence.configs.get(folder, {}), "dataset", "split").get("val")
            if isinstance(size, int | float) and isfinite(size):
                sizes[case.key[0], float(size), case.budget.end] = None
    if not sizes:
        return Check(name, UNKNOWN, "The size of the validation set is not recorded.", source)
    sized = [(name_, int(size), end) for name_, size, end in sizes if size >= 1]
    if not sized:
        return Check(
            name, UNKNOWN, "The validation set is a fraction of the training set, whose size is not recorded.", source
        )
    large = [f"{size:,} images on {where}, {end:,} labels bought" for where, size, end in sized if size > end]
    if large:
        return Check(
            name, WARNING, f"The validation set is larger than the labelled set ever gets: {listed(large)}.", source
        )
    text = "; ".join(f"{where}: {size:,} images, {end:,} labels bought at the end" for where, size, end in sized)
    return Check(
        name, PASS, f"{text}. Before as many are bought, early stopping sees more labels than training does.", source
    )


def varied(evidence: Evidence) -> Check:
    """More than one way of spending the budget."""
    name, source = "Query sizes and budgets varied", "Lüth et al., 2023"
    budgets: dict[tuple[str, str], set[str]] = {}
    for case in evidence.cases:
        spent = {str(sorted(_budget(evidence.configs.get(folder, {})).items())) for folder in case.each["folder"]}
        budgets.setdefault(case.key[:2], set()).update({f"{case.key[4]} {text}" for text in spent})  # type: ignore[arg-type]
    single = [", ".join(key) for key, spent in budgets.items() if len(spent) < 2]
    if single:
        return Check(
            name, WARNING, f"One query size and budget alone for {listed(single)}; others may rank otherwise.", source
        )
    return Check(name, PASS, "Every data set and model was run with more than one.", source)


def _budget(config: Mapping[str, Any]) -> dict[str, Any]:
    held = part_of(config, "budget")
    return {key: held[key] for key in ("initial", "query") if key in held}


def whole(evidence: Evidence) -> Check:
    """Nothing missing, nothing cut short."""
    missing = all_gaps(evidence.cases)
    if missing:
        return Check("No run missing or unfinished", WARNING, " ".join(f"{text}." for text in missing))
    return Check("No run missing or unfinished", PASS, "Every strategy has every seed, up to the whole budget.")


def device(evidence: Evidence) -> Check:
    """Where the runs were made, without which their times mean nothing."""
    folders = [folder for case in evidence.cases for folder in case.each["folder"]]
    devices = {
        str(entry["device"]) for folder in folders for entry in evidence.provenance.get(folder, ()) if "device" in entry
    }
    lacking = [folder for folder in folders if not evidence.provenance.get(folder)]
    if not devices:
        return Check("Device recorded", UNKNOWN, "No provenance.json is here.")
    if lacking:
        return Check("Device recorded", WARNING, f"Not for {listed(lacking)}.")
    if len(devices) > 1:
        return Check(
            "Device recorded",
            WARNING,
            f"Recorded, but there are several, so times are not comparable: {listed(sorted(devices))}.",
        )
    return Check("Device recorded", PASS, f"All runs: {devices.pop()}.")


def code(evidence: Evidence) -> Check:
    """One state of the code, which can be had again."""
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
    return Check(name, PASS, f"Commit {commits.pop()[:12]}.")
