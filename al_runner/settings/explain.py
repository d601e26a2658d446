"""Turns errors into one line that names the fix."""

import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, cast

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from al_runner.errors import UsageError
from al_runner.settings.check import parameters_of
from al_runner.settings.declare import meaning
from al_runner.settings.declared import left_out
from al_runner.settings.groups import SEE_HELP, conf_dir, no_choice, no_option

USER_ERRORS = (UsageError, HydraException, OmegaConfBaseException)  # mistakes that the user can correct

# Hydra's message for a group's choice that is not there, with a line for each that is.
CHOICE = re.compile(r"Could not find '([\w/]+)/([^'/]+)'\s+Available options in '\1':\s+([^\n]*(?:\n\t[^\n]+)*)")
COMPOSERS = ("hydra", "omegaconf", "antlr4", "yaml")  # packages that read what the user wrote
PLACES = "lie in the folder where al-run is started, in that of --config-dir, or there beside its YAML file"


def explain(error: BaseException) -> str:
    """One line for the user: the message of the UsageError that caused the exception, else the outermost message."""
    chain = chain_of(error)
    ours = [str(link) for link in chain if isinstance(link, UsageError)]
    if ours:
        return ours[0]
    message = next((str(link) for link in chain if str(link)), type(error).__name__)
    unknown = re.match(r"Could not override '([\w.]+)'", message)
    if unknown:
        return unknown_option(unknown[1])
    choice = CHOICE.search(message)
    if choice:
        return no_choice(choice[1], choice[2], choice[3].split())
    # Hydra's list of the places where it searched tells no more than --help.
    line = " ".join(message.partition("\nConfig search path")[0].split())
    return of_target(line, chain[-1]) or line


def of_target(line: str, first: BaseException) -> str | None:
    """The line for a `_target_` that can't be imported, from Hydra's `line` and the first error; None for others."""
    missing = first.name if isinstance(first, ModuleNotFoundError) else None
    wanted = line.partition(", set env var")[0]
    if missing and re.search(rf"target '{re.escape(missing)}['.]", line):
        # A folder called mine is a package without modules. For the target mine.Mine, Python then misses mine.Mine.
        module = missing.rpartition(".")[0] if f"'{missing}'" in line.partition(":")[0] else missing
        if getattr(sys.modules.get(module), "__file__", None):
            return f"{wanted}: {no_name(module, missing.rpartition('.')[2])}"
        return f"{wanted}: there is no module {module}; {module.partition('.')[0]}.py may {PLACES}"
    if isinstance(first, ImportError | SyntaxError):  # in the user's own module
        return f"{wanted}: {type(first).__name__}: {first}"
    return None


def no_name(module: str, name: str) -> str:
    """What is wrong with a name that an imported module does not have: the most similar name, else all its own."""
    own = [key for key, value in vars(sys.modules[module]).items() if getattr(value, "__module__", None) == module]
    close = get_close_matches(name, own, n=1)
    return f"{module} has no {name}; it has {close[0] if close else ', '.join(own) or 'nothing of its own'}"


def chain_of(error: BaseException) -> list[BaseException]:
    """The exception, and those that led to it, the first one last."""
    chain = [error]
    while (before := reason(chain[-1])) is not None:
        chain.append(before)
    return chain


def reason(error: BaseException) -> BaseException | None:
    """The exception that led to this one. OmegaConf names a resolver's error in its text, but not as the cause."""
    return error.__cause__ or (error.__context__ if isinstance(error, OmegaConfBaseException) else None)


def of_composition(error: BaseException) -> str | None:
    """The line for what Hydra's or OmegaConf's own code failed at, a word of the command line; None for others."""
    where = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    if where and where[-1].partition(".")[0] in COMPOSERS:
        return f"this can't be composed: {' '.join(str(error).split()) or type(error).__name__}; {SEE_HELP}"
    return None


def unknown_option(name: str) -> str:
    """The message for a dotted name on the command line that is no option of the configuration."""
    words = [word for word in sys.argv[1:] if "=" in word and word[0] not in "-+~" and not word.startswith(name)]
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            choices = without_sweeps(words, name.partition(".")[0])
            configs = (hydra.compose("config", chosen, return_hydra_config=True) for chosen in choices)
            config = next(configs)
            for_some = name in dotted(config) or any(name in dotted(other) for other in configs)
    except (HydraException, OmegaConfBaseException, ValueError):  # another mistake beside this one
        return f"there is no option {name}; {SEE_HELP}"
    parent, _, last = name.rpartition(".")
    for place in (name, parent):  # Hydra names the part that was given as a whole, or the new name inside it
        if isinstance(table := OmegaConf.select(config, place), DictConfig) and not table:
            return f"{place} takes names of your own; put a + before such a name, as in +{place}.NAME=VALUE"
    if isinstance(whole := OmegaConf.select(config, name), DictConfig):
        has = ", ".join(key for key in map(str, whole) if not key.startswith("_"))
        return f"{name} has the options {has}, and was given another; add one alone, as in +{name}.OPTION=VALUE"
    source = source_of(config, parent) if parent else ""
    above = OmegaConf.select(config, parent) if parent else config
    if source:
        line = f"there is no option {name}; {parent} is that of {source}: set {source}.{last}"
    elif for_some:
        line = f"only some choices of this sweep have the option {name}; give it in a sweep of these alone"
    elif has_by_default(above, last):
        line = f"this choice of {parent} leaves {last} at its default; put a + before it, as in +{name}=..."
    else:
        beside = [key for key in map(str, above) if not key.startswith("_")] if isinstance(above, DictConfig) else []
        line = no_option(name, dict.fromkeys([*beside, *left_out(parent)]), [*dotted(config)])
    return line


def has_by_default(node: object, name: str) -> bool:
    """Whether the target of a part of the configuration takes the option `name`, which the part does not list."""
    if not isinstance(node, DictConfig) or "_target_" not in node:
        return False
    taken = parameters_of(str(node["_target_"]))
    return name in taken.annotations and bool(meaning(taken.annotations[name]))


def dotted(node: DictConfig, path: str = "") -> Iterator[str]:
    """The dotted names of all options below `node`, without Hydra's own."""
    for key in map(str, node):
        inside = None if OmegaConf.is_interpolation(node, key) or OmegaConf.is_missing(node, key) else node[key]
        if key.startswith("_") or key == "hydra":
            continue
        yield f"{path}{key}"
        if isinstance(inside, DictConfig):
            yield from dotted(inside, f"{path}{key}.")


def source_of(config: DictConfig, name: str) -> str:
    """The name inside the interpolation that `name` holds, such as `training` of `${training}`; empty if none."""
    above, _, last = name.rpartition(".")
    node = OmegaConf.select(config, above) if above else config
    if not isinstance(node, DictConfig) or last not in {*node} or not OmegaConf.is_interpolation(node, last):
        return ""
    text = str(cast(dict[str, Any], OmegaConf.to_container(node, resolve=False))[last])
    return text.removeprefix("${").removesuffix("}")


def without_sweeps(words: Sequence[str], group: str) -> Iterator[list[str]]:
    """The words with one value each: the first of those that a sweep goes over, but of `group` every one in turn."""
    swept = next((word for word in reversed(words) if word.partition("=")[0] == group), None)
    for choice in values_of(swept) if swept else [""]:
        yield [choice if word == swept else next(values_of(word)) for word in words]


def values_of(word: str) -> Iterator[str]:
    """An override once for every value that it sweeps over, or as it is."""
    override = OverridesParser.create().parse_override(word)
    if not override.is_sweep_override():
        yield word
        return
    for value in override.sweep_string_iterator():
        yield f"{override.get_key_element()}={value}"
