#!/usr/bin/env bash
# KFAC-VFE with a target that grows with the labels, beside the target of eq. 19, uncertainty, BADGE, BAIT and random: USPS, 40 labels
# a round, on seeds that nothing was chosen by. About 12 minutes a seed on one CPU core; interrupted, it resumes.
set -euo pipefail
runs=outputs/kfac_vfe_target out=outputs/reproduced/kfac_vfe_target
for seed in ${SEEDS:-15 16 17 18 19 20 21 22 23 24}; do
    al-run -m experiment=compare_usps results=$runs seed="$seed" strategy=uncertainty,kfac_vfe,kfac_vfe_eq19,badge,bait,random
done
al-plot $runs --log --out $out --format png
al-compare $out --baseline uncertainty --last 5
