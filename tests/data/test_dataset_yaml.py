import inspect

import pytest
import yaml
from dataset_files import DATASETS
from hydra.utils import get_method


@pytest.mark.parametrize("path", sorted(DATASETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_data_set_says_what_it_is_and_brings_its_model_and_budget(path):
    text = path.read_text()
    assert text.startswith("# ")
    settings = yaml.safe_load(text)
    brought = {}
    for default in settings.pop("defaults"):
        ((key, choice),) = default.items()
        group = key.removeprefix("override /").partition("@")[0]
        assert (DATASETS.parent / group / f"{choice}.yaml").exists()
        brought[group] = choice
    assert {"model", "budget"} <= set(brought)
    target = get_method(settings.pop("_target_"))
    inspect.signature(target).bind(data_root="", **settings)
    name = settings.get("name", path.stem)
    assert path.stem == name or path.stem.startswith(f"{name}_")
    home = settings.get("home", settings)  # of a data set that is tested on another one's images
    assert {"_target_", "val", "test", "seed"} <= set(home["split"])
