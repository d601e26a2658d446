"""Composes configurations as al-run does, but without a command line."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict, read_write

from al_runner.errors import UsageError
from al_runner.plugins import registered  # noqa: F401 - what Hydra must know before it composes
from al_runner.settings.command_line import hydras_words, is_override, quoted
from al_runner.settings.explain import USER_ERRORS, explain
from al_runner.settings.groups import conf_dir
from al_runner.settings.wording import shown


def words_of(words: Sequence[str], options: dict[str, object], sweep: bool = False) -> list[str]:
    """Words of the command line and keyword arguments as Hydra's overrides. Raises UsageError if one is a flag."""
    overrides = hydras_words([*words, *(f"{name}={value_of(value)}" for name, value in options.items())], sweep)
    flags = [word for word in overrides if not is_override(word)]
    if flags:
        raise UsageError(
            f"{flags[0]} is a flag of the command line; from Python, give options such as 'strategy=badge'"
        )
    return overrides


def value_of(value: object) -> str:
    """A Python value in Hydra's grammar."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(value_of, value))}]"
    if value is None or isinstance(value, bool | int | float):
        return shown(value)
    text = str(value)
    plain = text.replace("_", "").isalnum() and not isinstance(value, PurePath)  # a folder may be called 2026
    return text if plain else quoted(text)


@contextmanager
def usage_errors() -> Iterator[None]:
    """A block in which every error that the user can correct becomes a UsageError of one line."""
    try:
        yield
    except USER_ERRORS as error:
        raise UsageError(explain(error)) from error


@dataclass(frozen=True)
class Composition:
    """A composed configuration with Hydra's part, of a run alone or of a run of a sweep."""

    whole: DictConfig
    mode: RunMode

    def current(self, seed: int | None = None) -> DictConfig:
        """Make it Hydra's own, with the run's folder, and with another seed if one is given; returns our part."""
        whole = self.whole
        if seed is not None:
            whole.seed = seed
        HydraConfig.instance().set_config(whole)
        with read_write(whole.hydra), open_dict(whole):
            whole.hydra.mode = self.mode
            alone, sweep = whole.hydra.run, whole.hydra.sweep
            folder = Path(str(alone.dir) if self.mode is RunMode.RUN else f"{sweep.dir}/{sweep.subdir}")
            whole.hydra.runtime.output_dir = str(folder.absolute())
            HydraConfig.instance().set_config(whole)
            job = whole.copy()
            del job["hydra"]
        return job


@contextmanager
def hydra_apart() -> Iterator[None]:
    """A block with a Hydra of its own for conf/; afterwards Hydra is as it was."""
    hydra, before = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3", job_name="al-run"):
            yield
    finally:
        HydraConfig.instance().cfg = before
        GlobalHydra.instance().clear()
        if hydra is not None:
            GlobalHydra.instance().initialize(hydra)


def jobs_of(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of every job of a sweep, ordered by seed."""
    from hydra_plugins.al_runner_seeds import SeedsOutermost  # noqa: PLC0415 - found once al_runner.plugins is loaded

    with hydra_apart():
        jobs: list[list[str]]
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())  # which glob(...) asks for the choices
        (jobs,) = SeedsOutermost.split_arguments(parser.parse_overrides([*overrides]), None)
    return jobs


@contextmanager
def composition(words: Sequence[str], mode: RunMode = RunMode.RUN) -> Iterator[Composition]:
    """What the words compose. In the block its `current` may change Hydra's own; afterwards Hydra is as it was."""
    with hydra_apart():
        yield Composition(compose("config", [*words], return_hydra_config=True), mode)


@contextmanager
def composed(words: Sequence[str]) -> Iterator[DictConfig]:
    """A single run's configuration, which is Hydra's own in the block; afterwards Hydra is as it was."""
    with composition(words) as made:
        yield made.current()
