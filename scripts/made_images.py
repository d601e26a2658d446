"""Contact sheets of images made in runs: figure 6 of Tran et al. (2019), the queries of Zhu & Bento (2017).

    python scripts/made_images.py RUNS --out outputs/reproduced/tran2019_mnist [--seed 0]

Writes images_DATASET_LEARNER_STRATEGY.png for every run of that seed whose journal holds such images. Prints what the
rows are.
"""

from argparse import ArgumentParser
from base64 import b64decode
from pathlib import Path

from al_runner.analysis.report.made import made_sheet
from al_runner.analysis.table.runs import identity, read_config, run_folders

if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for folder in run_folders(options.runs):
        sheet = made_sheet(folder) if folder.name == f"seed{options.seed}" else None
        if sheet is not None:
            run = identity(read_config(folder))
            file = options.out / f"images_{run.dataset}_{run.learner}_{run.strategy}.png"
            file.write_bytes(b64decode(sheet.uri.partition(",")[2]))
            print(f"{file}: {sheet.caption}")
