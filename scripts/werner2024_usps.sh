#!/usr/bin/env bash
# USPS of CDALBench (Werner et al., 2024), beside the numbers of their own runs. About 15 seconds a run on a free CPU core.
# Interrupted, it resumes.
set -euo pipefail
runs=${RUNS:-outputs/werner2024_usps} out=${OUT:-outputs/reproduced/werner2024_usps}
al-run -m experiment=werner2024_usps results="$runs" seed="${SEEDS:-range(20)}" strategy=random,margin,uncertainty,entropy,badge,core_set
python scripts/werner2024_usps.py "$runs" --out "$out"
