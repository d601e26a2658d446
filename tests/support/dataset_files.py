from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[2]
DATASETS = REPOSITORY / "conf" / "dataset"


def dataset_settings(name: str) -> dict[str, object]:
    """What conf/dataset/<name>.yaml gives its target, target included."""
    settings = yaml.safe_load((DATASETS / f"{name}.yaml").read_text())
    del settings["defaults"]
    return settings
