"""The words of al-run's command line: mistakes are named before Hydra reads them, and the rest is put in its form."""

import argparse
import re
import shlex
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType
from hydra.errors import HydraException

from al_runner.errors import UsageError
from al_runner.settings.groups import GROUPS, OPTIONAL, conf_dir, made_of_choices

NULL = re.compile(r"(?<![^=,])null(?![^,])")  # one of the values of an override
ENDING = re.compile(r"\.yaml(?=,|$)")


def hydras_words(words: Sequence[str], sweep: bool = False) -> list[str]:
    """The words in the form that Hydra needs, flags first. Raises UsageError for a word that Hydra would misread.

    They are of a sweep if -m is among them, or if `sweep` says so.
    """
    words = with_labels(words)
    require_flags(words)
    require_overrides(words)
    flagged = parsed(words)[0].multirun
    for word in filter(is_override, words):
        require_readable(word)
        require_single(word, sweep or flagged)
    if flagged:
        words = run_by_run(words)
    return sorted(map(with_plain_choice, words), key=is_override)


def run_by_run(words: Sequence[str]) -> list[str]:
    """The words of a sweep, with options that a choice of a group brings in a form that Hydra sets run by run.

    Hydra sets every option with one value before the sweep, in a configuration of default choices. If a group is
    swept, that configuration may lack the option: `-m strategy=kfac_vfe,kfac_vfe_eq19 strategy.damping=0.2`.
    """
    read = {word: OverridesParser.create().parse_override(word) for word in filter(is_override, words)}
    if not any(override.key_or_group in GROUPS and override.is_sweep_override() for override in read.values()):
        return [*words]
    return [
        f"{key}=choice({value})" if of_a_choice(read.get(word)) else word
        for word in words
        for key, _, value in [word.partition("=")]
    ]


def of_a_choice(override: Override | None) -> bool:
    """Whether an override sets one value of an option below a group, such as `strategy.damping=0.2`."""
    if override is None or override.type is not OverrideType.CHANGE or override.is_sweep_override():
        return False
    group, dot, _ = override.key_or_group.partition(".")
    return bool(dot) and group in GROUPS and override.value() not in ("", None)


def with_labels(words: Sequence[str]) -> list[str]:
    """The words with `--labels FILE` as the option that it stands for. Raises UsageError if no file follows."""
    replaced: list[str] = []
    rest = iter(words)
    for word in rest:
        flag, mark, file = word.partition("=")
        if flag != "--labels":
            replaced.append(word)
            continue
        file = file if mark else next(rest, "")
        if not file or file.startswith("--"):
            raise UsageError("--labels needs a file: the filled query.csv, as in --labels Downloads/query.csv")
        replaced.append(f"oracle.labels={quoted(file)}")
    return replaced


def is_override(word: str) -> bool:
    """Whether a word sets or deletes an option: then it is no flag and no value of a flag."""
    return word.startswith("~") or ("=" in word and not word.startswith("-"))


def parsed(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Hydra's flags, wherever they stand, with all other words as `overrides`, and the flags that it does not know."""

    def refuse(message: str) -> NoReturn:
        raise UsageError(f"{message} (al-run --hydra-help lists the flags)")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]  # argparse would print its usage, and exit
    return parser.parse_known_args(sorted(words, key=is_override))


def known_flags() -> list[str]:
    """The flags of al-run, Hydra's and ours."""
    hydras = [flag for action in get_args_parser()._actions for flag in action.option_strings]
    return ["--dry-run", "--export", "--labels", *hydras]


def require_flags(words: Sequence[str]) -> None:
    """Raises UsageError if there is no such flag, or if two flags can't be used together."""
    flags, unknown = parsed(words)
    for word in unknown:
        key, _, value = word.lstrip("-").partition("=")
        following = [*words, ""][words.index(word) + 1]
        value = value or (following if following and not is_override(following) else "...")
        close = get_close_matches(f"--{key}", known_flags(), 1, 0.8) if word.startswith("--") else []
        if close:
            raise UsageError(f"there is no flag {word}; did you mean {close[0]}?")
        if word.startswith("--") and key.partition(".")[0].isidentifier():
            raise UsageError(f"there is no flag {word}; options are given without dashes, as {key}={value}")
        raise UsageError(f"there is no flag {word}; al-run --hydra-help lists them")
    if flags.resolve and not (flags.cfg or flags.help):
        raise UsageError("--resolve goes with --cfg or --help, as in al-run --cfg job --resolve")
    asked = [name for name in ("run", "multirun", "cfg", "info", "shell_completion") if getattr(flags, name)]
    if len(asked) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise UsageError(f"{names} don't go together; --cfg shows one run, so leave -m and the lists of values out")


def require_overrides(words: Sequence[str]) -> None:
    """Raises UsageError if a word is neither a flag nor a flag's value nor an override."""
    flags, _ = parsed(words)
    for place, word in enumerate(words):
        if (is_override(word) and not word.startswith("=")) or word not in flags.overrides:
            continue
        before, after = [*words][place - 1] if place else "", [*words, ""][place + 1]
        spaced = None
        if before.endswith((",", "=")) or (before and word.startswith((",", "="))):
            spaced = before + word + (after if word.endswith((",", "=")) else "")
        elif after.startswith("=") or after.endswith((",", "=")):
            spaced = word + after + ([*words, ""][place + 2] if after.endswith((",", "=")) else "")
        elif after and not is_override(after) and not after.startswith("-"):
            spaced = f"{word}={after}"
        if spaced:
            raise UsageError(f"{word!r} is a word of its own; write {spaced} without spaces")
        raise UsageError(f"{word!r} is no option; options are given as key=value (al-run --help lists them)")


def require_readable(word: str) -> None:
    """Raises UsageError if Hydra can't read an override, or if it sets an option that can't be set."""
    key, _, value = word.partition("=")
    name = key.lstrip("+~")
    if name == "run" or name.startswith("run."):
        raise UsageError(made_of_choices(name))
    if name in GROUPS and name not in OPTIONAL and (word.startswith("~") or NULL.search(word)):
        article = "an" if name[0] in "aeiou" else "a"
        raise UsageError(
            f"{word} leaves the run without {article} {name}; choose one with {name}=... (al-run --help lists them)"
        )
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        if word.endswith(","):
            raise UsageError(f"{word} ends with a comma; write its values without spaces between them") from None
        if key != key.strip():
            raise UsageError(f"{word!r} has spaces around its =; write {key.strip()}={value.strip()}") from None
        raise UsageError(f"{word} can't be read, since Hydra gives meaning to marks; {in_quotes(key, value)}") from None


def require_single(word: str, sweep: bool) -> None:
    """Raises UsageError if a group gets no word, or a list, or if a word has several values outside a `sweep`."""
    override = OverridesParser.create().parse_override(word)
    if override.type is OverrideType.DEL:
        return
    key, _, text = word.partition("=")
    if override.key_or_group in GROUPS and "=" in word and not names_choices(override):
        raise UsageError(
            f"{word} names no choice of {key}, which is a word; choose one with {key}=WORD (al-run --help lists them), "
            f"or set one of its options with {key}.OPTION=VALUE"
        )
    if not sweep and override.is_sweep_override():
        brackets = "" if override.key_or_group in GROUPS else f"; a list stands in brackets: {key}=[...]"
        raise UsageError(
            f"{word} has several values; a sweep runs them all: al-run -m {word} (in Python, al_runner.sweep){brackets}"
        )
    if override.key_or_group in GROUPS and isinstance(override.value(), list) and override.value():
        raise UsageError(
            f"{word} gives a run several choices of {key}; a sweep runs them all: al-run -m {key}={text.strip()[1:-1]} "
            "(in Python, al_runner.sweep)"
        )


def names_choices(override: Override) -> bool:
    """Whether no value of a group's override is empty, a number, or true or false."""
    value = override.value()
    values = value.list if isinstance(value, ChoiceSweep) else [value]
    return not any(value == "" or isinstance(value, bool | int | float) for value in values)


def in_quotes(key: str, value: str) -> str:
    """How to quote a value so that neither the shell nor Hydra changes it."""
    return f"to give these very characters, quote them twice: al-run {shlex.quote(f'{key}={quoted(value)}')}"


def quoted(value: object) -> str:
    """A value in quotes, for Hydra's grammar. There, a backslash has a meaning only before a quote."""
    escaped = re.sub(r'(\\*)("|$)', lambda match: match[1] * 2 + match[2].replace('"', '\\"'), str(value))
    return f'"{escaped}"'


def with_plain_choice(word: str) -> str:
    """An override of a group in Hydra's spelling: `pool=null` as `pool=[]`, and `dataset=usps.yaml` as `dataset=usps`.

    Hydra takes `usps.yaml` too, but the run's folder and its curve would have that name.
    """
    name, mark, value = word.partition("=")
    if not mark or name not in GROUPS:
        return word
    value = ENDING.sub("", value)
    return f"{name}={NULL.sub('[]', value) if name in OPTIONAL else value}"


def require_own_names(folder: Path) -> None:
    """Raises UsageError if a YAML file in the folder of --config-dir has the place and name of one of conf/.

    Hydra would take the other one, without a word.
    """
    ours = conf_dir()
    if folder.is_dir() and not folder.samefile(ours):
        for file in sorted(ours.rglob("*.yaml")):
            own = folder / file.relative_to(ours)
            if own.is_file():
                raise UsageError(
                    f"{own} has the name of al-runner's own {file.relative_to(ours)}, which would be read in its "
                    f"place; rename it, for example to my_{own.name}"
                )


def config_dir(words: Sequence[str]) -> str | None:
    """The folder that --config-dir names."""
    flags, _ = parsed(words)
    folder: str | None = flags.config_dir
    return folder
