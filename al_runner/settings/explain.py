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
from al_runner.settings.groups import SEE_HELP, conf_dir, no_choice, no_option
from al_runner.settings.overrides import NoOption, at, interpolated, options_of
from al_runner.settings.place import place_of

USER_ERRORS = (UsageError, HydraException, OmegaConfBaseException)  # mistakes that the user can correct

# Hydra's message for a group's choice that is not there, with a line for each that is.
CHOICE = re.compile(r"Could not find '([\w/]+)/([^'/]+)'\s+Available options in '\1':\s+([^\n]*(?:\n\t[^\n]+)*)")
TWICE = re.compile(r"Multiple values for ([^ ]+)\. To override a value use 'override [^ ]+: ([^']+)'")  # Hydra's, too
RUN = "al_runner.job.run"  # the module of a run that has begun
COMPOSERS = ("hydra", "omegaconf", "antlr4", "yaml")  # packages that read what the user wrote
NAMED = "MODULE.NAME, its file without .py and a name in it, such as my_net.tiny"
NOT_CALLED = re.compile(r"Expected a callable target, got .* of type '(\w+)'")  # Hydra's, too
LACKS = re.compile(  # Hydra's, too; of the target itself, not of a function that it calls
    r"Error in call to target '((?:\w+\.)*(\w+))': TypeError\(.(?:\2(?:\.__init__)?\(\) )?"
    r"missing (?:a|\d+) required (?:positional |keyword-only )?arguments?: '(\w+)'"
)
PLACES = (
    "lie in the folder where al-run is started, in that of --config-dir, or there beside its YAML file; in Python, put "
    "its folder on sys.path"
)


def explain(error: BaseException) -> str:
    """One line for the user: the message of the UsageError that caused the exception, else the outermost message."""
    chain = chain_of(error)
    ours = [str(link) for link in chain if isinstance(link, UsageError)]
    if ours:
        return ours[0]
    unknown = next((link for link in chain if isinstance(link, NoOption)), None)
    if unknown:
        return unknown_option(unknown.name, unknown.config)
    message = next((str(link) for link in chain if str(link)), type(error).__name__)
    choice = CHOICE.search(message)
    if choice:
        return no_choice(choice[1], choice[2], choice[3].split())
    twice = TWICE.search(message)
    if twice:
        group, name = twice.groups()
        return (
            f"{group} is chosen already; write {group}={name} without a + on the command line, and "
            f"override /{group}: {name} in the defaults of a YAML file"
        )
    # Hydra's list of the places where it searched tells no more than --help.
    line = " ".join(message.partition("\nConfig search path")[0].split())
    return of_call(line) or of_target(line, chain[-1]) or f"{line}{place_of(chain[-1])}"


def of_call(line: str) -> str | None:
    """The line for a `_target_` that is called too early, from Hydra's `line`; None for others."""
    lacks = LACKS.match(line)
    if lacks is None:
        return None
    return (
        f"{lacks[1]} needs {lacks[3]}; write `_partial_: true` beside its _target_ if al-run is to hand it over, "
        "and else give it a value there"
    )


def of_target(line: str, first: BaseException) -> str | None:
    """The line for a `_target_` that can't be imported, from Hydra's `line` and the first error; None for others."""
    kind = NOT_CALLED.match(line)
    if kind:
        return f"a _target_ leads to a {kind[1]}, not to a function or a class; write {NAMED}"
    missing = first.name if isinstance(first, ModuleNotFoundError) else None
    wanted, locating, _ = line.partition(", set env var")
    if missing and re.search(rf"target '{re.escape(missing)}['.]", line):
        # A folder called mine is a package without modules. For the target mine.Mine, Python then misses mine.Mine.
        module = missing.rpartition(".")[0] if f"'{missing}'" in line.partition(":")[0] else missing
        if getattr(sys.modules.get(module), "__file__", None):
            return f"{wanted}: {no_name(module, missing.rpartition('.')[2])}"
        if "/" in module:
            return f"{wanted}: this is a path; write {NAMED}"
        return f"{wanted}: there is no module {module}; {module.partition('.')[0]}.py may {PLACES}"
    if locating or isinstance(first, ImportError | SyntaxError):  # in the user's own module
        return f"{wanted}: {type(first).__name__}: {first}{place_of(first)}"
    return None


def no_name(module: str, name: str) -> str:
    """What is wrong with a name that an imported module does not have.

    Python's own module hides the user's, or the name is misspelt: the most similar name is shown, else all its own.
    """
    if module.partition(".")[0] in sys.stdlib_module_names:
        return f"{module} is a module of Python's own library, which hides a file of that name; call yours otherwise"
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
    """The line for what Hydra's or OmegaConf's own code failed at, a word of the command line.

    None for others, and once a run has begun: code of the run is called through Hydra then.
    """
    where = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    if where and where[-1].partition(".")[0] in COMPOSERS and RUN not in where:
        return f"this can't be composed: {' '.join(str(error).split()) or type(error).__name__}; {SEE_HELP}"
    return None


def unknown_option(name: str, config: DictConfig) -> str:
    """The message for a dotted name on the command line that is no option of the configuration."""
    parent = name.rpartition(".")[0]
    for place in (name, parent):  # Hydra names the part that was given as a whole, or the new name inside it
        if isinstance(table := at(config, place), DictConfig) and not table:
            return f"{place} takes names of your own; put a + before such a name, as in +{place}.NAME=VALUE"
    if isinstance(whole := at(config, name), DictConfig):
        has = ", ".join(key for key in map(str, whole) if not key.startswith("_"))
        shown = f"has the options {has}, and was given another" if has else "stands without options"
        return f"{name} {shown}; add one alone, as in +{name}.OPTION=VALUE"
    if pointing := interpolated(config, parent):
        source = source_of(config, pointing)
        return f"there is no option {name}; {pointing} is that of {source}: set {source}{name.removeprefix(pointing)}"
    if some_choice_has(name):
        return f"only some choices of this sweep have the option {name}; give it in a sweep of these alone"
    above = at(config, parent)
    beside = [key for key in map(str, above) if not key.startswith("_")] if isinstance(above, DictConfig) else []
    taken = options_of(above) if isinstance(above, DictConfig) else ()
    return no_option(name, dict.fromkeys([*beside, *taken]), [*dotted(config)])


def some_choice_has(name: str) -> bool:
    """Whether the command line is that of a sweep over a group, and a choice of it has the option `name`."""
    words = [word for word in sys.argv[1:] if "=" in word and word[0] not in "-+~" and not word.startswith(name)]
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            choices = [*without_sweeps(words, name.partition(".")[0])]
            configs = (hydra.compose("config", chosen, return_hydra_config=True) for chosen in choices)
            return len(choices) > 1 and any(name in dotted(config) for config in configs)
    except (HydraException, OmegaConfBaseException, ValueError):  # another mistake beside this one
        return False


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
    """The name inside the interpolation at a dotted name, such as `training` of `${training}`."""
    above, _, last = name.rpartition(".")
    node = OmegaConf.to_container(cast(DictConfig, at(config, above)), resolve=False)
    text = str(cast(dict[str, Any], node)[last])
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
