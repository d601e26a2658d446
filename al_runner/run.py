"""The command al-run: Hydra's composition, and errors as one line."""

import errno
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from al_runner.callable import make_callable
from al_runner.errors import UsageError, Waiting
from al_runner.plugins import registered  # noqa: F401 - what Hydra must know before it composes
from al_runner.record.leftovers import clear
from al_runner.record.state import LAUNCH
from al_runner.settings.command_line import config_dir, hydras_words
from al_runner.settings.explain import USER_ERRORS, explain
from al_runner.settings.groups import conf_dir
from al_runner.system.console import silence_broken_pipe
from al_runner.system.signals import Stopped, listening

WAITS = 3  # exit code of a run that can't go on before somebody has labelled images
DEFAULT_LAUNCHER = "auto"  # of conf/config.yaml
FOLDER_TROUBLE = (errno.EEXIST, errno.ENOTDIR, errno.EROFS, errno.ENOSPC, errno.EDQUOT)

make_callable(__name__, "al_runner.api.runs", "run")


def start(cfg: DictConfig) -> None:
    """One job; in a sweep Hydra calls it in a process of its own."""
    hydra = HydraConfig.get()
    try:
        require_sweep(hydra.mode, hydra.runtime.choices["hydra/launcher"])
        from al_runner.job import run_alone  # noqa: PLC0415 - torch, see above

        run_alone(cfg)
    except Waiting:
        sys.exit(WAITS)
    except USER_ERRORS as error:
        if hydra.mode is RunMode.RUN:  # past Hydra, which would add lines of its own
            clear(Path(hydra.runtime.output_dir), Path(str(cfg.results)).expanduser().absolute())
            sys.exit(f"al-run: {explain(error)}")
        # The way back from a worker process drops an exception's cause, which may hold the message.
        raise UsageError(explain(error)) from error


def require_sweep(mode: RunMode | None, launcher: str) -> None:
    """UsageError where a single run, which starts here and now, is to have a launcher."""
    if mode is RunMode.RUN and launcher != DEFAULT_LAUNCHER:
        raise UsageError(
            f"hydra/launcher={launcher} is for sweeps, and this is a single run; put -m before the options (al-run -m "
            f"hydra/launcher={launcher} ...), or take hydra/launcher={DEFAULT_LAUNCHER} to run it here"
        )


def find_modules(words: Sequence[str]) -> None:
    """Let a `_target_` name a module of the user's own: where al-run is started, or beside the YAML of --config-dir.

    Last on the path, so that no file there hides a module that others import.
    """
    sys.path.append(os.getcwd())
    folder = config_dir(words)
    if folder is not None:
        root = Path(folder).absolute()
        sys.path += [str(root), *(str(place) for place in sorted(root.glob("*/")) if any(place.glob("*.py")))]


def export(words: Sequence[str]) -> None:
    """`al-run --export FOLDER`; UsageError where that is not what the words are."""
    if len(words) != 2 or words[0] != "--export":
        raise UsageError(
            "--export takes the folder of one run and nothing else, as in al-run --export outputs/.../seed0"
        )
    from al_runner.api.export import export as carry_out  # noqa: PLC0415 - torch, see above

    print(carry_out(Path(words[1]).expanduser()))


def main() -> None:
    """Run al-run's command line; exit code 1 and one line where something is the user's to mend."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then leaves exceptions to us
    logging.raiseExceptions = False  # a log that can't be written is no trouble; a record that can't be says so itself
    try:
        if "--export" in sys.argv[1:]:
            export(sys.argv[1:])
            return
        sys.argv[1:] = hydras_words(sys.argv[1:])
        find_modules(sys.argv[1:])
        with listening(quiet=LAUNCH in os.environ):
            hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")(start)()
    except Stopped as stop:
        if LAUNCH not in os.environ:  # a sweep's worker leaves that to the sweep
            print("al-run: interrupted; the same command resumes where it stopped", file=sys.stderr)
        sys.exit(128 + stop.signum)
    except USER_ERRORS as error:
        sys.exit(f"al-run: {explain(error)}")
    except BrokenPipeError:  # `al-run --help | head`: nobody reads on
        sys.exit(silence_broken_pipe())
    except OSError as error:
        if not isinstance(error, PermissionError) and error.errno not in FOLDER_TROUBLE:
            raise
        sys.exit(
            f"al-run: {error.filename} can't be written ({error.strerror}); choose another folder with results=..."
        )


if __name__ == "__main__":
    main()
