#!/usr/bin/env bash
# Where KFAC-VFE (Ducoffe & Precioso, 2017) might be worth its cost: larger queries, whose redundancy should matter, and
# pools with wrong labels, repeated images or outliers; the protocol of scripts/kfac_vfe_ablation.sh, five paired seeds.
# About 2 hours on 2 CPU cores; interrupted, it resumes.
set -euo pipefail
runs=${RUNS:-outputs/kfac_vfe_where}
sweep() {
    al-run -m experiment=compare_usps results="$runs" seed="${SEEDS:-0,1,2,3,4}" \
        strategy=random,uncertainty,kfac_vfe,kfac_spectral "$@"
}

sweep budget.query=80,160 'run.budget=query${budget.query}'
sweep pool=repeated,outliers,label_noise

al-plot "$runs" --facet dataset,budget --out outputs/reproduced/kfac_vfe_where
al-compare "$runs" --baseline uncertainty --out outputs/reproduced/kfac_vfe_where
