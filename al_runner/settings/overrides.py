"""How overrides enter a configuration. An option that a part leaves out of its file can be set all the same."""

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf

from al_runner.settings.check import parameters_of
from al_runner.settings.declared import declared

_apply_as_hydra = ConfigLoaderImpl._apply_overrides_to_config


class NoOption(ConfigCompositionException):
    """An override names no option of the configuration. It holds the name and the configuration."""

    def __init__(self, name: str, config: DictConfig):
        super().__init__(f"there is no option {name}")
        self.name, self.config = name, config


def apply(overrides: Sequence[Override], config: DictConfig) -> None:
    """Apply the overrides in turn, as Hydra does. Raises NoOption for the first that names no option.

    Hydra alone would refuse every option that the chosen files don't list.
    """
    for given in overrides:
        name = given.key_or_group
        change = given.type is OverrideType.CHANGE
        override = replace(given, type=OverrideType.FORCE_ADD) if change and is_left_out(config, name) else given
        before = config if is_listed(config, name) else deepcopy(config)  # Hydra leaves it changed if it fails
        try:
            _apply_as_hydra([override], config)
        except ConfigCompositionException as error:
            if change and str(error).startswith("Could not override"):
                raise NoOption(name, before) from error
            raise


def at(config: DictConfig, place: str) -> object:
    """What is at a dotted name, the whole configuration at ""; None if there is nothing, or nothing yet."""
    return OmegaConf.select(config, place, throw_on_missing=False) if place else config


def is_listed(config: DictConfig, name: str) -> bool:
    """Whether the part above a dotted name lists it itself."""
    above, _, last = name.rpartition(".")
    part = at(config, above)
    return isinstance(part, DictConfig) and last in part and not interpolated(config, above)


def is_left_out(config: DictConfig, name: str) -> bool:
    """Whether a dotted name is an option that its part takes and does not list."""
    above, _, last = name.rpartition(".")
    part = at(config, above)
    takes = isinstance(part, DictConfig) and last not in part and last in options_of(part)
    return takes and not interpolated(config, above)


def options_of(part: DictConfig) -> Iterable[str]:
    """The options that the target of a part takes: what is declared of it, or else all its parameters."""
    target = str(part.get("_target_", ""))
    return declared().get(target) or parameters_of(target).names or ()


def interpolated(config: DictConfig, name: str) -> str:
    """The outermost part at or above a dotted name that only points to another part; empty if there is none."""
    return next((place for place in places(name) if points_away(config, place)), "")


def places(name: str) -> Iterator[str]:
    """The dotted name `a.b.c` as `a`, `a.b`, `a.b.c`."""
    words = name.split(".")
    return (".".join(words[: end + 1]) for end in range(len(words)))


def points_away(config: DictConfig, name: str) -> bool:
    """Whether the value at a dotted name is an interpolation."""
    above, _, last = name.rpartition(".")
    part = at(config, above)
    return isinstance(part, DictConfig) and last in part and OmegaConf.is_interpolation(part, last)
