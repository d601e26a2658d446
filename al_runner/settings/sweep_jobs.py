"""How the jobs of a sweep get their configurations: files are read once for all jobs that choose the same ones."""

from collections.abc import Mapping, MutableMapping
from copy import deepcopy
from functools import lru_cache
from weakref import WeakKeyDictionary

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

_load_as_hydra = ConfigLoaderImpl.load_sweep_config

# By loader, of which every sweep has its own: the configuration of the sweep, and its jobs' by their choices.
_composed: MutableMapping[ConfigLoaderImpl, tuple[DictConfig, dict[tuple[str, ...], DictConfig]]] = WeakKeyDictionary()


def load(loader: ConfigLoaderImpl, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
    """The configuration of the job with these overrides, equal to Hydra's own; raises what Hydra raises.

    Hydra takes a quarter of a second for a job and composes it two or three times. Here the choices of files, such as
    `strategy=badge`, are composed once, and the values, such as `seed=3`, are put into a copy.
    """
    given = [parsed(line) for line in sweep_overrides]
    loader.validate_sweep_overrides_legal(given, RunMode.RUN, from_shell=True)
    if master_config.hydra.searchpath or any(override.is_hydra_override() for override in given):  # other files
        return _load_as_hydra(loader, master_config, sweep_overrides)
    values = [override for override in given if not chooses_a_file(loader, override)]
    choices = tuple(str(override.input_line) for override in given if chooses_a_file(loader, override))
    config = deepcopy(of_choices(loader, master_config, choices))
    try:
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
    except OmegaConfBaseException as error:
        raise ConfigCompositionException from error
    config.hydra.overrides.task = [*sweep_overrides]
    config.hydra.job.override_dirname = get_overrides_dirname(given, **config.hydra.job.config.override_dirname)
    return config


@lru_cache(maxsize=10_000)
def parsed(line: str) -> Override:
    """An override as Hydra reads it."""
    (override,) = OverridesParser.create().parse_overrides([line])
    return override


def chooses_a_file(loader: ConfigLoaderImpl, override: Override) -> bool:
    """Whether the override chooses a file of a group; otherwise it gives a value."""
    return loader.repository.group_exists(override.key_or_group) and not isinstance(override.value(), Mapping)


def of_choices(loader: ConfigLoaderImpl, master_config: DictConfig, choices: tuple[str, ...]) -> DictConfig:
    """The configuration of a job that has only these overrides; not to be changed."""
    if loader not in _composed or _composed[loader][0] is not master_config:
        _composed[loader] = master_config, {}
    known = _composed[loader][1]
    if choices not in known:
        known[choices] = _load_as_hydra(loader, master_config, [*choices])
    return known[choices]
