"""Errors as one line that names the fix."""

import re
import sys
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from al_runner.errors import UsageError

MENDABLE = (UsageError, HydraException, OmegaConfBaseException)  # what the user can mend


def explain(error: BaseException) -> str:
    """The message for the user: that of the UsageError behind the exception, else the outermost one in one line."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    ours = [str(link) for link in chain if isinstance(link, UsageError)]
    if ours:
        return ours[0]
    message = next((str(link) for link in chain if str(link)), type(error).__name__)
    unknown = re.match(r"Could not override '([\w.]+)'", message)
    if unknown:
        return f"there is no option {unknown[1]}; {known_options(unknown[1])}"
    # Hydra's list of where it searched says nothing that --help does not.
    line = " ".join(message.partition("\nConfig search path")[0].split())
    if isinstance(chain[-1], ImportError | SyntaxError):  # of the user's own module
        return f"{line.partition(', set env var')[0]}: {type(chain[-1]).__name__}: {chain[-1]}"
    return line


def known_options(unknown: str) -> str:
    """What there is where `unknown`, a dotted key of the command line, was looked for."""
    parent = unknown.rpartition(".")[0]
    see_help = "al-run --help lists all groups and settings"
    if not parent:
        return see_help
    words = [word for word in sys.argv[1:] if "=" in word and word[0] not in "-+~" and not word.startswith(unknown)]
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            config = hydra.compose("config", [*map(without_sweep, words)], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException):  # another mistake beside this one
        return see_help
    found = OmegaConf.select(config, parent)
    if not isinstance(found, DictConfig):
        return see_help
    source = source_of(config, parent)
    if source:
        return f"{parent} is that of {source}: set {source}.{unknown.rpartition('.')[2]}"
    there = ", ".join(key for key in map(str, found) if not key.startswith("_")) or "no options"
    return f"{parent} has {there}; with a + before it, one that is not listed is handed on"


def source_of(config: DictConfig, name: str) -> str:
    """What the option `name` is an interpolation of, as `training` in `${training}`; empty where it is none."""
    above, _, last = name.rpartition(".")
    node = OmegaConf.select(config, above) if above else config
    if not OmegaConf.is_interpolation(node, last):
        return ""
    text = str(cast(dict[str, Any], OmegaConf.to_container(node, resolve=False))[last])
    return text.removeprefix("${").removesuffix("}")


def without_sweep(word: str) -> str:
    """An override, with the first of the values that it sweeps over."""
    override = OverridesParser.create().parse_override(word)
    if not override.is_sweep_override():
        return word
    return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"


def conf_dir() -> Path:
    """The configuration groups: packaged in a wheel, beside the package in a checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "conf"
    return packaged if packaged.exists() else package.parent / "conf"
