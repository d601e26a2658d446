#!/usr/bin/env bash
# Ensembles of five on CIFAR-10 (Beluch et al., 2018), made small for a CPU, beside one net: paired seeds; it resumes.
# About 20 minutes a run of an ensemble and 4 of one net on a free CPU core.
set -euo pipefail
runs=${RUNS:-outputs/beluch2018_cifar10_small} out=${OUT:-outputs/reproduced/beluch2018_cifar10_small}
sweep() { al-run -m experiment=beluch2018_cifar10_small results="$runs" seed="${SEEDS:-0,1,2}" ${OPTIONS:-} "$@"; }

sweep strategy=random,variation_ratios
sweep strategy=core_set,random,entropy learner=plain

al-plot "$runs" --across learner --split none --title "CIFAR-10, K-CNN of half the width" --out "$out"
al-compare "$out" --across learner --baseline random-ensemble --last 1
