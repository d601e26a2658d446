"""The command al-embed: a folder of photographs or an .npz file in; one .npz file of features out.

N images, D features.
"""

from al_runner.system.start import starting

with starting("al-embed"):
    import argparse
    import json
    import logging
    import os
    import sys
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    import numpy as np

    from al_runner.api.compose import composed, usage_errors, words_of
    from al_runner.errors import UsageError
    from al_runner.job.build import data_set
    from al_runner.job.device import set_torch, torch_device
    from al_runner.settings.check import require_options
    from al_runner.system.atomic import replace_file
    from al_runner.system.console import command, say
    from al_runner.types import DataSet

HELP = "Writes the features of images as a file for al-run dataset=embeddings dataset.path=OUT."
SETTINGS = "settings of al-run, such as features=patches, dataset.resize=96, dataset.split.test=0.3 or device=cpu"


def embed(source: Path, out: Path, words: Sequence[str] = (), **options: object) -> DataSet:
    """Write the features of the images in `source` to the .npz file `out`, and return what is in it.

    `source` is a folder or an .npz file, read as dataset=folder and dataset=npz read it. `words` and `options` are
    settings of al-run, of which `features` is needed. The file has embeddings, float32 [N, D], labels and, if any,
    files of every part, with train_, test_ or val_ before their names, the names of the classes and how it was made.
    Raises UsageError if `out` is there already, or if a setting or an image is wrong.
    """
    if out.suffix != ".npz" or out.exists():
        raise UsageError(f"{out} is there already, or is no name of an .npz file; name a new one, such as photos.npz")
    kind = "folder" if source.is_dir() else "npz"
    whole = words_of([f"dataset={kind}", *words], {"dataset.path": source, **options})
    with usage_errors(), composed(whole) as cfg:
        require_options(cfg)
        if not cfg.get("features") or cfg.features.use != "inputs":
            raise UsageError(
                "al-embed writes features alone; choose them with features=..., and leave features.use out"
            )
        set_torch(cfg)
        data = data_set(cfg, torch_device(cfg.device, 0))
        made = json.dumps({"settings": whole, **(data.source or {})})
    try:
        replace_file(out, lambda file: np.savez(file, **arrays_of(data), made=np.array(made)))
    except OSError as error:
        raise UsageError(f"{out} can't be written ({error.strerror or error}); name another file") from error
    return data


def arrays_of(data: DataSet) -> dict[str, Any]:
    """Vectors, labels and files of every part of a data set, by the names that dataset=embeddings reads."""
    held: dict[str, Any] = {"classes": np.array(data.classes)}
    for part, ids in (("train", data.train), ("test", data.test), ("val", data.val)):
        held[f"{part}_embeddings"] = data.images[ids].flatten(1).float().cpu().numpy()
        held[f"{part}_labels"] = data.labels[ids].cpu().numpy()
        if data.files:
            held[f"{part}_files"] = np.array([data.files[id_] for id_ in ids.tolist()])
    return held


@command("al-embed")
def main(argv: Sequence[str] | None = None) -> int:
    """Run al-embed's command line. Returns 2, with a line on stderr, for a UsageError."""
    parser = argparse.ArgumentParser(prog="al-embed", description=HELP)
    parser.add_argument(
        "source", metavar="SOURCE", type=Path, help="a folder with a sub-folder a class, or an .npz file"
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="the .npz file that is written")
    parser.add_argument("words", metavar="SETTING=VALUE", nargs="*", help=SETTINGS)
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    sys.path.append(os.getcwd())  # a module of the user's may lie here
    data = embed(given.source.expanduser(), given.out.expanduser(), given.words)
    counts = ", ".join(
        f"{len(ids)} {name}" for name, ids in (("train", data.train), ("validation", data.val), ("test", data.test))
    )
    say(f"{given.out}: {data.image_shape[0]} features of {counts} images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
