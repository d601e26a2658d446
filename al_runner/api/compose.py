"""Composes configurations as al-run does, but without a command line."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict, read_write

from al_runner.errors import UsageError
from al_runner.plugins import registered  # noqa: F401 - what Hydra must know before it composes
from al_runner.settings.command_line import hydras_words, is_override, quoted
from al_runner.settings.explain import USER_ERRORS, explain
from al_runner.settings.groups import conf_dir


def words_of(words: Sequence[str], options: dict[str, object]) -> list[str]:
    """Words of the command line and keyword arguments as Hydra's overrides. Raises UsageError if one is a flag."""
    overrides = hydras_words([*words, *(f"{name}={value_of(value)}" for name, value in options.items())])
    flags = [word for word in overrides if not is_override(word)]
    if flags:
        raise UsageError(
            f"{flags[0]} is a flag of the command line; from Python, give options such as 'strategy=badge'"
        )
    return overrides


def value_of(value: object) -> str:
    """A Python value in Hydra's grammar."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(map(value_of, value))}]"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    return text if text.replace("_", "").isalnum() else quoted(text)


@contextmanager
def usage_errors() -> Iterator[None]:
    """A block in which every error that the user can correct becomes a UsageError of one line."""
    try:
        yield
    except USER_ERRORS as error:
        raise UsageError(explain(error)) from error


@contextmanager
def composed(words: Sequence[str]) -> Iterator[DictConfig]:
    """The configuration of a single run. In the block, Hydra's own state is that of this run; later it is restored."""
    hydra, before = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3", job_name="al-run"):
            whole = compose("config", [*words], return_hydra_config=True)
        HydraConfig.instance().set_config(whole)
        with read_write(whole.hydra), open_dict(whole):
            whole.hydra.mode = RunMode.RUN
            whole.hydra.runtime.output_dir = str(Path(str(whole.hydra.run.dir)).absolute())
            HydraConfig.instance().set_config(whole)
            job = whole.copy()
            del job["hydra"]
        yield job
    finally:
        HydraConfig.instance().cfg = before
        GlobalHydra.instance().clear()
        if hydra is not None:
            GlobalHydra.instance().initialize(hydra)
