"""Contact sheets: what every run bought, as thumbnails with label, prediction and its probability."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from al_runner.analysis.report.images import TILE, Images, atlas
from al_runner.analysis.report.source import Source
from al_runner.analysis.stats.case import Case

MOST_PIXELS = 4_000_000  # of all thumbnails of a case together, so that the page has a few MB at most
MOST_A_ROUND = 40  # images shown of one query, if all images are too many


def contact_sheet(source: Source, case: Case, images: Images) -> dict[str, Any]:
    """Thumbnails and the text below them, by run and round; evenly spaced rounds if all rounds are too many."""
    runs = [
        (row, source.bought[row["folder"]]) for row in case.each.to_dict("records") if row["folder"] in source.bought
    ]
    area = min(int(np.prod(images.images.shape[1:])), TILE * TILE * 3)
    all_ids = pd.concat([bought for _, bought in runs])["id"].nunique()
    most = max(20, MOST_PIXELS // area // len(runs)) if all_ids * area > MOST_PIXELS else MOST_PIXELS
    shown = [(row, _sample(bought, most)) for row, bought in runs]
    ids = sorted({int(id_) for _, bought in shown for id_ in bought["id"]})
    sheet = atlas(images.images, ids)
    blocks = []
    for (row, some), (_, everything) in zip(shown, runs, strict=True):
        sizes = everything.groupby("round").size()
        rounds = [
            {"round": int(str(round_)), "of": int(sizes[round_]), "images": _tiles(part, sheet.place)}
            for round_, part in some.groupby("round", sort=True)
        ]
        left_out = (
            f"{len(rounds)} of {len(sizes)} rounds are shown, up to {MOST_A_ROUND} images each."
            if len(rounds) < len(sizes)
            else ""
        )
        blocks.append(
            {"title": f"{source.names(row['curve'])}, seed {row['seed']}", "rounds": rounds, "note": left_out}
        )
    facts = {name: getattr(sheet, name) for name in ("uri", "columns", "width", "height")}
    return {"atlas": {**facts, "count": len(ids)}, "classes": list(images.classes), "runs": blocks}


def _sample(bought: pd.DataFrame, most: int) -> pd.DataFrame:
    """All purchases of a run. If they are more than `most`: up to MOST_A_ROUND of each of evenly spaced rounds."""
    if len(bought) <= most:
        return bought
    few = bought[bought.groupby("round").cumcount() < MOST_A_ROUND]
    sizes = few.groupby("round").size()
    keep = max(2, int(most / sizes.mean()))
    if keep >= len(sizes):
        return few
    chosen = sizes.index[np.unique(np.linspace(0, len(sizes) - 1, keep).round().astype(int))]
    return few[few["round"].isin(chosen)]


def _tiles(part: pd.DataFrame, place: Mapping[int, int]) -> list[list[Any]]:
    """For each image [tile, id, label, prediction or None, confidence or None]."""
    columns = part[["id", "label", "prediction", "confidence"]]
    return [
        [place[int(id_)], int(id_), int(label), None, None]
        if np.isnan(prediction)
        else [place[int(id_)], int(id_), int(label), int(prediction), round(float(confidence), 3)]
        for id_, label, prediction, confidence in columns.itertuples(index=False)
    ]
