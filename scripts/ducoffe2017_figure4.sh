#!/usr/bin/env bash
# Figure 4 of Ducoffe & Precioso (2017) from an empty folder: figure 2 (USPS, query 8, to 1,255 labels) with the whole pool
# as candidates, which is to show that a subset of it does uncertainty no harm; five paired seeds.
# About 2 hours on 2 CPU cores, 40 minutes with LABELS=408; interrupted, or given again with more of them, it goes on.
set -euo pipefail
runs=outputs/ducoffe2017_figure4 out=${OUT:-outputs/reproduced/ducoffe2017_figure4}
labels=budget.max_labelled=${LABELS:-1255} seeds=seed=${SEEDS:-0,1,2,3,4}
al-run -m experiment=ducoffe2017_figure4 results=$runs $labels "$seeds" name=whole_pool strategy=uncertainty,random,kfac_vfe_eq19
al-run -m experiment=ducoffe2017_figure2 results=$runs $labels "$seeds" strategy=uncertainty,random,kfac_vfe_eq19
al-plot $runs --log --out "$out"
al-compare "$out" --baseline uncertainty
