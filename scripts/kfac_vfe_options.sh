#!/usr/bin/env bash
# KFAC-VFE with its default, the target that grows, and one option changed at a time: fewer or all candidates, the training
# factor. USPS, 40 labels a round, on seeds that nothing was chosen by. About 10 minutes a seed on a CPU core; it resumes.
set -euo pipefail
runs=${RUNS:-outputs/kfac_vfe_options} out=${OUT:-outputs/reproduced/kfac_vfe_options}
for seed in ${SEEDS:-25 26 27 28 29 30 31 32 33 34}; do
    sweep() { al-run -m experiment=compare_usps results="$runs" seed="$seed" "$@"; }
    sweep strategy=uncertainty,kfac_vfe
    sweep strategy=kfac_vfe budget.candidates=3x,10x,all 'name=candidates_${budget.candidates}'
    sweep strategy=kfac_vfe strategy.gamma=0.1,1 'name=gamma${strategy.gamma}'
done
al-plot "$runs" --log --out "$out" --format png
al-compare "$out" --baseline kfac_vfe --last 5
