"""The command al-run: Hydra composes the configuration, and an error is one line."""

from al_runner.system.start import shortage, starting

with starting("al-run"):
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

    from al_runner.errors import UsageError, Waiting
    from al_runner.plugins import registered  # noqa: F401 - what Hydra must know before it composes
    from al_runner.record.leftovers import clear
    from al_runner.record.state import LAUNCH
    from al_runner.settings.command_line import hydras_words
    from al_runner.settings.explain import USER_ERRORS, explain, of_composition
    from al_runner.settings.groups import conf_dir
    from al_runner.settings.modules import find_modules
    from al_runner.system.console import plain, silence_broken_pipe
    from al_runner.system.signals import Stopped, held, listening

WAITS = 3  # exit code of a run that can't go on before somebody has labelled images
DEFAULT_LAUNCHER = "auto"  # of conf/config.yaml
FOLDER_TROUBLE = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


def start(cfg: DictConfig) -> None:
    """Run one job, and turn its errors into one line."""
    hydra = HydraConfig.get()
    try:
        require_sweep(hydra.mode, hydra.runtime.choices["hydra/launcher"])
        with held():
            from al_runner.job.run import run_alone  # noqa: PLC0415 - imports torch, which the checks above need not wait for

        run_alone(cfg)
    except Waiting:
        sys.exit(WAITS)
    except Exception as error:
        line = explain(error) if isinstance(error, USER_ERRORS) else shortage(error)
        if line is None:
            raise
        if hydra.mode is RunMode.RUN:  # ends the program here, since Hydra would add its own lines
            clear(Path(hydra.runtime.output_dir), Path(str(cfg.results)).expanduser().absolute())
            sys.exit(plain(f"al-run: {line}"))
        # A worker process sends back an exception without its cause, which may hold the message.
        raise UsageError(line) from error


def require_sweep(mode: RunMode | None, launcher: str) -> None:
    """Raises UsageError if a launcher is chosen for a single run, which always starts in this process."""
    if mode is RunMode.RUN and launcher != DEFAULT_LAUNCHER:
        raise UsageError(
            f"hydra/launcher={launcher} is for sweeps, and this is a single run; put -m before the options (al-run -m "
            f"hydra/launcher={launcher} ...), or take hydra/launcher={DEFAULT_LAUNCHER} to run it here"
        )


def export(words: Sequence[str]) -> None:
    """Carry out `al-run --export FOLDER [OPTION=VALUE ...]`. Raises UsageError if the words are others."""
    if len(words) < 2 or words[0] != "--export" or "=" in words[1]:
        raise UsageError(
            "--export takes the folder of one run, right behind it, as in al-run --export outputs/.../seed0"
        )
    from al_runner.api.export import export as carry_out  # noqa: PLC0415 - torch, see above

    print(carry_out(Path(words[1]).expanduser(), words[2:]))


def folder_trouble(error: Exception) -> str | None:
    """The line for a folder of results that can't be written; None for another error."""
    if not isinstance(error, OSError):
        return None
    unreadable = os.path.isfile(error.filename or "") and not os.access(error.filename, os.R_OK)
    if error.errno in FOLDER_TROUBLE or (isinstance(error, PermissionError) and not unreadable):
        return f"{error.filename} can't be written ({error.strerror}); choose another folder with results=..."
    return None


def main() -> None:
    """Run the command al-run. A mistake of the user ends it with one line and exit code 1."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then leaves exceptions to us; it knows no other value
    logging.raiseExceptions = False  # a log that can't be written does no harm; a record that can't be raises itself
    try:
        if "--export" in sys.argv[1:]:
            export(sys.argv[1:])
            return
        dry = "--dry-run" in sys.argv[1:]
        sys.argv[1:] = hydras_words([word for word in sys.argv[1:] if word != "--dry-run"])
        find_modules(sys.argv[1:])
        if dry:
            from al_runner.api.dry_run import dry_run  # noqa: PLC0415 - torch, which other commands need not wait for

            sys.exit(dry_run(sys.argv[1:], require_sweep))
        with listening(quiet=LAUNCH in os.environ):
            hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")(start)()
    except Stopped as stop:
        if LAUNCH not in os.environ:  # a worker leaves this line to its sweep
            print("al-run: interrupted; the same command resumes where it stopped", file=sys.stderr)
        sys.exit(128 + stop.signum)
    except USER_ERRORS as error:
        sys.exit(plain(f"al-run: {explain(error)}"))
    except BrokenPipeError:  # the reader has gone, as in `al-run --help | head`
        sys.exit(silence_broken_pipe())
    except Exception as error:
        line = shortage(error) or folder_trouble(error) or of_composition(error)
        if line is None:
            raise
        sys.exit(plain(f"al-run: {line}"))


if __name__ == "__main__":
    main()
