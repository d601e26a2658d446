#!/usr/bin/env bash
# The training of the public code of Ducoffe & Precioso (2017) on USPS from an empty folder: 40 labels a round, ten paired
# seeds, then figure 2 itself, 8 labels a round to its end. About two minutes a run on one CPU core, of figure 2 about 15.
# Interrupted, it resumes.
set -euo pipefail
runs=${RUNS:-outputs/ducoffe2017_code_training}
strategies=random,uncertainty,kfac_vfe_eq19,kfac_vfe
names=(--label "kfac_vfe=KFAC-VFE, growing target" --label "kfac_vfe_eq19=KFAC-VFE, target N (eq. 19)")

al-run -m experiment=compare_usps training=ducoffe2017_8 seed="${SEEDS:-range(10,20)}" strategy=$strategies results="$runs/40"
out=outputs/reproduced/ducoffe2017_code_training
al-plot "$runs/40" --split 250 --title "USPS, training of the paper's code" "${names[@]}" --out "$out"
al-compare "$out" --baseline uncertainty --last 5 "${names[@]}"

al-run -m experiment=ducoffe2017_figure2_code seed="${FEW:-10,11,12,13,14}" strategy=$strategies,full results="$runs/8"
out=outputs/reproduced/ducoffe2017_figure2_code
al-plot "$runs/8" --log --title "USPS, figure 2 under the code's training" "${names[@]}" --out "$out"
al-compare "$out" --baseline uncertainty --last 10 "${names[@]}"
