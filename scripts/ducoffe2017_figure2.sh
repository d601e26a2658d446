#!/usr/bin/env bash
# Figure 2 of Ducoffe & Precioso (2017) from an empty folder: USPS, query 8, to 1,255 labels, five paired seeds.
# About 2 hours on 2 CPU cores; interrupted, it resumes. Fewer seeds: SEEDS=0,1,2 scripts/ducoffe2017_figure2.sh
# PRESET=ducoffe2017_figure2_code has the published code's training.
set -euo pipefail
preset=${PRESET:-ducoffe2017_figure2}
runs=outputs/$preset out=outputs/reproduced/$preset
al-run -m experiment="$preset" results="$runs" \
    seed="${SEEDS:-0,1,2,3,4}" strategy=full,random,uncertainty,curriculum,kfac_vfe_eq19
for kind in "" --best; do al-plot "$runs" --log $kind --out "$out"; done
al-compare "$out"
al-report "$runs" --out "$out/report.html"
