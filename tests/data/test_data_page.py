"""docs/data.md names options and data sets that there are."""

import re
import shlex
from pathlib import Path

import pytest
from dataset_files import DATASETS, REPOSITORY
from hydra import compose, initialize_config_dir

import al_runner.main  # noqa: F401 - registers the resolvers
from al_runner.data.images import SUFFIXES
from al_runner.data.parts import PARTS
from al_runner.settings.explain import conf_dir

PAGE = (REPOSITORY / "docs" / "data.md").read_text()
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
NAMES = sorted(path.stem for path in DATASETS.glob("*.yaml"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_composes(command: str) -> None:
    words = shlex.split(command, comments=True)
    assert "al-run" in words
    with initialize_config_dir(str(Path(conf_dir())), version_base="1.3"):
        compose("config", words[words.index("al-run") + 1 :])


def test_it_names_every_data_set_and_option() -> None:
    assert len(COMMANDS) > 5
    assert [name for name in NAMES if f"`{name}`" not in PAGE] == []
    for name in ("folder", "npz", "embeddings"):
        options = re.findall(r"^(\w+):", (DATASETS / f"{name}.yaml").read_text(), re.M)
        assert [option for option in options if option != "defaults" and f"dataset.{option}" not in PAGE] == [
            "_target_"
        ], name


def test_it_names_every_suffix_and_every_name_of_a_part() -> None:
    assert [suffix for suffix in SUFFIXES if f"`{suffix}`" not in PAGE] == []
    assert [part for part in PARTS if f"`{part}`" not in PAGE and f"`{part}/`" not in PAGE] == []
