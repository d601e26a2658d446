"""Where a `_target_` finds modules of the user."""

import sys
from collections.abc import Sequence
from pathlib import Path

from al_runner.settings.command_line import config_dir, require_own_names


def find_modules(words: Sequence[str], start: Path | None = None) -> None:
    """Let a `_target_` name a module of the user, in the folder `start` or beside the YAML files of --config-dir.

    `start` is where al-run is started, or was: by default the current folder. These folders come last on the path, so
    that no file in them hides a module that others import. Raises UsageError as `require_own_names`.
    """
    start = Path.cwd() if start is None else start
    places = [start]
    folder = config_dir(words)
    if folder is not None:
        root = start / folder
        require_own_names(root)
        places += [root, *(place for place in sorted(root.glob("*/")) if any(place.glob("*.py")))]
    sys.path += [str(place) for place in places if str(place) not in sys.path]
