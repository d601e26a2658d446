"""How many of the first images that each strategy chose are outliers: runs of scripts/kfac_vfe_where.sh, pool=outliers.

Usage: python scripts/kfac_vfe_outliers.py [RUNS] (default outputs/kfac_vfe_where). Needs the prepared data (AL_DATA).
"""

import os
import sys
from pathlib import Path

import pandas as pd
from hydra.utils import instantiate
from omegaconf import OmegaConf

from al_runner.data.spoil import random_share

FIRST = (80, 160, 320, 640)  # images chosen, after the initial set
runs = Path(sys.argv[1] if len(sys.argv) > 1 else "outputs/kfac_vfe_where")
files = sorted(file for file in runs.rglob("acquired.csv") if "usps-outliers" in file.parts)
config = OmegaConf.load(files[0].parent / "config.yaml")
data = instantiate(config.dataset, data_root=os.environ.get("AL_DATA", str(Path.home() / ".cache" / "al-runner")))
outliers = random_share(data, config.pool.share, config.pool.seed, "outliers").tolist()

shares = []
for file in files:
    bought = pd.read_csv(file).query("round > 0")["id"].isin(outliers)
    shares.append([file.parts[-3], *(100 * bought.head(first).mean() for first in FIRST)])
table = pd.DataFrame(shares, columns=["strategy", *FIRST]).groupby("strategy")
print("Percent of the first images chosen that are outliers; means over seeds")
print(table.mean().round(1).assign(seeds=table.size()).to_string())
