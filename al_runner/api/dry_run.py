"""`al-run --dry-run`: what would run, where, and about how long; nothing is started or written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from al_runner.api.compose import Composition, composition, jobs_of, usage_errors
from al_runner.data.prepared import NotPrepared, reading_only
from al_runner.errors import UsageError
from al_runner.job.build import build
from al_runner.job.device import set_torch, torch_device
from al_runner.job.person import require_one_person
from al_runner.job.run import identity
from al_runner.loop.experiment import Experiment
from al_runner.record.provenance import fingerprints
from al_runner.record.run import RunRecord
from al_runner.record.run_id import RunId
from al_runner.settings.check import require_options
from al_runner.settings.command_line import parsed, quoted
from al_runner.settings.explain import USER_ERRORS, chain_of, explain
from al_runner.sweeps.begin import require_apart
from al_runner.sweeps.forecast import Forecast, earlier_runs, forecast
from al_runner.sweeps.header import header
from al_runner.sweeps.progress import duration
from al_runner.system.console import say
from al_runner.system.text import counted, listed

ALLOWED = ("overrides", "multirun", "config_dir", "run")  # of Hydra's flags


@dataclass(frozen=True)
class PlannedRuns:
    """Runs that differ only in their seed."""

    title: str
    lines: Sequence[str]  # what they are
    folders: Sequence[Path]  # of each
    done: Sequence[int]  # rounds that each has recorded
    purchases: Sequence[int]  # labels of every round; empty if the data set is not prepared yet
    takes: Sequence[Forecast | None]  # of the rounds that each has left; empty as above


def dry_run(words: Sequence[str], require_sweep: Callable[[RunMode, str], None]) -> int:
    """Print what `al-run WORDS` would do. Returns 0, or 1 if a run of a sweep would be refused.

    `require_sweep` refuses a launcher that a single run can't have. Raises UsageError for a mistake in the words, and
    for a single run that would be refused.
    """
    flags, _ = parsed(words)
    other = [name for name, value in vars(flags).items() if value and name not in ALLOWED]
    if other:
        raise UsageError(f"--dry-run and --{other[0].replace('_', '-')} don't go together; leave one of them out")
    mode = RunMode.MULTIRUN if flags.multirun else RunMode.RUN
    search = [f"hydra.searchpath=[{quoted(f'file://{Path(flags.config_dir).absolute()}')}]"] if flags.config_dir else []
    planned, refused, launcher = list[PlannedRuns](), list[str](), None
    folders, apart = list[Path | None](), list[Sequence[str]]()
    with usage_errors(), reading_only():
        jobs = grouped(flags.overrides, mode)
        for job, seeds in jobs:
            try:
                with composition([*job, *search], mode) as made:
                    planned.append(plan(made, seeds))
                    folders += planned[-1].folders
                    apart += [with_seed(job, seed) for seed in seeds] or [job]
                    require_sweep(mode, HydraConfig.get().runtime.choices["hydra/launcher"])
                    launcher = launcher or launcher_of(made)
            except USER_ERRORS as error:
                if mode is RunMode.RUN:
                    raise
                own = [word for word in job if not all(word in other for other, _ in jobs)]
                words, line = " ".join(own or job), explain(error)
                refused.append(line if line.startswith(f"{words} ") else f"{words}: {line}")
        require_apart(folders, apart)
    say(*shown(planned, refused, launcher))
    return int(bool(refused))


def grouped(overrides: Sequence[str], mode: RunMode) -> list[tuple[list[str], list[int]]]:
    """The runs of a command: the overrides of the first of those that differ only in their seed, and all their seeds.

    No seeds are named for a run alone.
    """
    if mode is RunMode.RUN:
        return [([*overrides], [])]
    groups: dict[tuple[str, ...], list[list[str]]] = {}
    for job in jobs_of(overrides):
        groups.setdefault(tuple(word for word in job if not word.startswith("seed=")), []).append(job)
    found = []
    for same in groups.values():
        seeds = [word.removeprefix("seed=") for job in same for word in job if word.startswith("seed=")]
        whole = len(same) > 1 and all(map(str.isdecimal, seeds))
        found += [(same[0], [*map(int, seeds)])] if whole else [(job, []) for job in same]
    return found


def with_seed(job: Sequence[str], seed: int) -> list[str]:
    """The job's overrides with this seed in place of its own."""
    return [f"seed={seed}" if word.startswith("seed=") else word for word in job]


class By(NamedTuple):
    """Who starts runs, in words, and how many at the same time."""

    name: str
    at_once: int = 1


def launcher_of(made: Composition) -> By:
    """Who would start the runs. Raises UsageError if the launcher's settings are refused or can't be met here."""
    if made.mode is RunMode.RUN:
        return By("this process")
    context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks())
    launcher: Any = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=lambda cfg: None, config=made.whole
    )
    chosen = HydraConfig.get().runtime.choices["hydra/launcher"]
    inner = getattr(launcher, "launcher", launcher)  # the one that auto has chosen
    name = type(inner).__name__.removesuffix("Launcher").lower()
    return By(f"{chosen}, which is {name} here" if chosen == "auto" else chosen, getattr(inner, "n_jobs", 1))


def plan(made: Composition, seeds: Sequence[int]) -> PlannedRuns:
    """What the runs of one configuration would be. Raises UsageError as a run itself would before its first fit."""
    cfg = made.current()
    require_options(cfg)
    set_torch(cfg)
    device = torch_device(cfg.device, 0)
    run = RunId(*(cfg.run[part] for part in RunId._fields))
    folders = [folder_of(made, seed) for seed in seeds or [run.seed]]
    title = f"{run.dataset} {run.curve} seed {listed([*map(str, seeds or [run.seed])])}"
    try:
        experiment = build(cfg, device)
    except USER_ERRORS as error:
        if not any(isinstance(link, NotPrepared) for link in chain_of(error)):
            raise
        return PlannedRuns(
            title,
            [f"data: {explain(error)}; only then its size and the rounds are known"],
            folders,
            [0] * max(1, len(seeds)),
            [],
            [],
        )
    require_one_person(experiment, made.mode is RunMode.MULTIRUN)
    all_folders = folders[0].with_name(listed([folder.name for folder in folders]))  # .../random/seed0, seed1, seed2
    lines = header(cfg.run, experiment, device, all_folders)
    done = [rounds_recorded(made.current(seed), experiment) for seed in seeds or [run.seed]]
    earlier = earlier_runs(Path(str(cfg.results)).expanduser())
    takes = [forecast(cfg.run, experiment.purchases, rounds, earlier) for rounds in done]
    return PlannedRuns(title, lines, folders, done, experiment.purchases, takes)


def folder_of(made: Composition, seed: int) -> Path:
    """The folder of the run with a seed."""
    made.current(seed)
    return Path(HydraConfig.get().runtime.output_dir)


def rounds_recorded(cfg: DictConfig, experiment: Experiment) -> int:
    """How many rounds the folder of Hydra's current run has.

    Raises UsageError if it holds another run, or is damaged.
    """
    if cfg.overwrite:
        return 0
    record = RunRecord(Path(HydraConfig.get().runtime.output_dir), recover=cfg.recover)
    record.require_settings(identity(cfg))
    if not record.answers:  # a person's answers change the data
        record.require_plan(experiment.purchases, *fingerprints(experiment.data))
    return len(experiment.purchases) if experiment.ended_by(record) else len(record.rows)


def shown(planned: Sequence[PlannedRuns], refused: Sequence[str], launcher: By | None) -> list[str]:
    """The lines that tell a plan."""
    lines = ["a dry run: nothing is started, and nothing is written"]
    for part in planned:
        lines += [part.title, *(f"  {line}" for line in part.lines), *(f"  {line}" for line in progress_of(part))]
    lines += [f"refused: {line}" for line in refused]
    lines.append(f"in all: {totals_of(planned)}")
    if launcher is not None:
        many = f", {launcher.at_once} runs at the same time" if launcher.at_once > 1 else ""
        lines.append(f"started by: {launcher.name}{many}")
    return [*lines, *times_of(planned, launcher.at_once if launcher else 1)]


def totals_of(planned: Sequence[PlannedRuns]) -> str:
    """How many runs there are, and how many rounds and labels they have to do and to buy, as far as that is known."""
    runs, known = sum(len(part.done) for part in planned), [part for part in planned if part.purchases]
    unknown = runs - sum(len(part.done) for part in known)
    if unknown and not known:
        return f"{counted(runs, 'run')}; rounds and labels are not known yet"
    rounds = sum(len(part.purchases) * len(part.done) - sum(part.done) for part in known)
    labels = sum(sum(part.purchases[done:]) for part in known for done in part.done)
    some = f"; those of {counted(unknown, 'run')} are not known yet" if unknown else ""
    return f"{counted(runs, 'run')}, {counted(rounds, 'round')} to do, {counted(labels, 'label')} to buy{some}"


def progress_of(part: PlannedRuns) -> list[str]:
    """What the runs' folders hold already."""
    whole = sum(done == len(part.purchases) for done in part.done if part.purchases)
    begun = sum(done > 0 for done in part.done) - whole
    found = [f"{counted(whole, 'run')} finished already"] if whole else []
    found += [f"{counted(begun, 'run')} would go on after its last recorded round"] if begun else []
    return [", ".join(found)] if found else []


def times_of(planned: Sequence[PlannedRuns], at_once: int) -> list[str]:
    """About how long the rounds to do take."""
    left = [
        (part.title, part.takes[place] if part.takes else None)
        for part in planned
        for place, done in enumerate(part.done)
        if done < len(part.purchases) or not part.purchases
    ]
    known = [takes for _, takes in left if takes is not None]
    unknown = [title.partition(" seed ")[0] for title, takes in left if takes is None]
    lines = []
    if known:
        each = [takes.seconds for takes in known]
        runs, whole = max(takes.runs for takes in known), max(sum(each) / at_once, *each, 0)
        lines.append(
            f"time: about {duration(whole)} for {counted(len(known), 'run')}, going by {counted(runs, 'earlier run')} "
            "with the same data set, model and strategy"
        )
    if unknown:
        lines.append(
            f"time: not known for {counted(len(unknown), 'run')} ({listed([*dict.fromkeys(unknown)])}); no earlier run "
            "has this data set, model and strategy"
        )
    return lines
