"""Exports a run's results: its labels, its net's predictions for all other images, and the net's weights."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path

import torch
from scipy.stats import binomtest

from al_runner.api.folder import RunFolder
from al_runner.api.nets import again
from al_runner.errors import UsageError
from al_runner.job.weights import states_of
from al_runner.loop.measure import prediction
from al_runner.pool import Pool
from al_runner.record.weights import Saved, keep
from al_runner.system.atomic import replace_file
from al_runner.types import DataSet

LABELLED, PREDICTIONS, FOLDER = "labelled.csv", "predictions.csv", "export"


def export(folder: Path, words: Sequence[str] = ()) -> str:
    """Write labelled.csv, predictions.csv, config.yaml and the weights into `folder`/export. Returns lines that say so.

    labelled.csv has the labels of bought, validation and test images; predictions.csv has a row for every other image
    of the pool. The last line is the test error in percent with a 95 % interval (Wilson, 1927). The net of the last
    round is trained again, which takes as long as that round did. `words` and errors are those of `again`.
    """
    experiment, fitted, pool = again(folder, words)
    data, out = experiment.data, folder / FOLDER
    files, known = dict(enumerate(data.files)), labels_of(data, pool)
    write(out / LABELLED, ("id", "file", "label", "part"), known)
    rows = []
    for ids in pool.unlabelled.split(512):
        confidence, classes = prediction(fitted, data.images[ids]).exp().max(1)
        triples = zip(ids.tolist(), classes.tolist(), confidence.tolist(), strict=True)
        rows += [(id_, files.get(id_, ""), data.classes[label], f"{sureness:.6f}") for id_, label, sureness in triples]
    write(out / PREDICTIONS, ("id", "file", "prediction", "confidence"), rows)
    wrong = int((prediction(fitted, data.images[data.test]).argmax(1) != data.labels[data.test]).sum())
    last = int(RunFolder(folder).rounds["round"].iloc[-1])
    replace_file(out / "config.yaml", (folder / "config.yaml").read_bytes())  # so that load_net reads this folder
    lines = [f"{out / LABELLED}: {len(known)} labels", f"{out / PREDICTIONS}: {len(rows)} predictions"]
    try:
        states = states_of(experiment.learner, fitted)
        keep(out, "last", Saved(states, data.classes, data.image_shape, last), {}, [])
        lines.append(f"{out / 'weights' / 'last.safetensors'}: the net of the last round")
    except UsageError as error:
        lines.append(f"no weights: {error}")
    low, high = binomtest(wrong, len(data.test)).proportion_ci(0.95, "wilson")
    lines.append(
        f"test error {100 * wrong / len(data.test):.1f} %, 95 % interval {100 * low:.1f} to {100 * high:.1f} % "
        f"({len(data.test)} test images; Wilson, 1927)"
    )
    return "\n".join(lines)


def labels_of(data: DataSet, pool: Pool) -> list[tuple[int, str, str, str]]:
    """Id, file, class and part of every image with a label: as it was bought, and of validation and test images.

    An image that a strategy made has an id after those of the data set, and no file.
    """
    files = dict(enumerate(data.files))
    own = torch.cat([data.val, pool.validation]), torch.cat([data.labels[data.val], pool.y(pool.validation)])
    parts = {
        "labelled": (pool.training, pool.y(pool.training)),
        "validation": own,  # the data set's own, or those that budget.val_share has set aside: never both
        "test": (data.test, data.labels[data.test]),
    }
    return [
        (id_, files.get(id_, ""), data.classes[label], part)
        for part, (ids, labels) in parts.items()
        for id_, label in zip(ids.tolist(), labels.tolist(), strict=True)
    ]


def write(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file, whole or not at all."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    replace_file(path, text.getvalue().encode())
