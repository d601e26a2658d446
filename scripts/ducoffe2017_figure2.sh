#!/usr/bin/env bash
# Figure 2 of Ducoffe & Precioso (2017) from an empty folder: USPS, query 8, to 1,255 labels, five paired seeds.
# About 2 hours on 2 CPU cores; interrupted, it resumes. Fewer seeds: SEEDS=0,1,2 scripts/ducoffe2017_figure2.sh
set -euo pipefail
runs=outputs/ducoffe2017_figure2
al-run -m experiment=ducoffe2017_figure2 results=$runs \
    seed="${SEEDS:-0,1,2,3,4}" strategy=full,random,uncertainty,curriculum,kfac_vfe
for kind in "" --best; do al-plot $runs --log $kind --out outputs/reproduced/ducoffe2017_figure2; done
al-compare $runs --out outputs/reproduced/ducoffe2017_figure2
al-report $runs --out outputs/reproduced/ducoffe2017_figure2/report.html
