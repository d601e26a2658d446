#!/usr/bin/env bash
# Figure 1 of Ducoffe & Precioso (2017) from an empty folder: MNIST, query 64, to 15,000 labels, paired seeds.
# Interrupted, it resumes. LABELS=1000 is the part of it under outputs/reproduced (about 30 minutes a seed on 2 CPU cores);
# given again with more of them, the runs go on from there. PRESET=ducoffe2017_figure1_code has the published code's training.
set -euo pipefail
preset=${PRESET:-ducoffe2017_figure1}
runs=outputs/$preset out=${OUT:-outputs/reproduced/$preset}
al-run -m experiment="$preset" results="$runs" budget.max_labelled="${LABELS:-15000}" seed="${SEEDS:-0,1,2,3,4}" \
    strategy=full,kfac_vfe_eq19,random,uncertainty,curriculum,margin,entropy
curves=full,random,uncertainty,kfac_vfe_eq19,curriculum,margin # seven on few seeds can't be read
for kind in "" --best; do al-plot "$runs" --log $kind --only $curves --out "$out"; done
al-compare "$out" --last 10
al-report "$runs" --out "$out/report.html"
