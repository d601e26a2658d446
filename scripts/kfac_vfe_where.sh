#!/usr/bin/env bash
# Where KFAC-VFE (Ducoffe & Precioso, 2017) might be worth its cost: larger queries, whose redundancy should matter, and
# pools with wrong labels, repeated images or outliers; the protocol of scripts/kfac_vfe_ablation.sh, five paired seeds,
# 20 where the first ten had suggested a difference. About 2 hours on 2 CPU cores; interrupted, it resumes.
set -euo pipefail
runs=outputs/kfac_vfe_where out=outputs/reproduced/kfac_vfe_where
sweep() { al-run -m experiment=compare_usps "$@"; }

for query in 80 160; do
    sweep results=$runs/query$query budget.query=$query seed='range(0,20)' strategy=uncertainty,kfac_vfe_eq19
    sweep results=$runs/query$query budget.query=$query seed=0,1,2,3,4 strategy=random,kfac_spectral
done
sweep results=$runs/pools pool=repeated,outliers,label_noise seed=0,1,2,3,4 strategy=random,uncertainty,kfac_vfe_eq19

for part in query80 query160 pools; do # each with figures and tables of its own
    al-plot $runs/$part --facet dataset --log --common --out $out/$part
    al-compare $out/$part --baseline uncertainty
done
