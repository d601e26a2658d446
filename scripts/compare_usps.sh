#!/usr/bin/env bash
# Every method under one protocol (conf/experiment/compare_usps.yaml): USPS, the same splits, initial sets, net and training,
# 40 labels a round to 650, five paired seeds. Methods that need a committee have one, and random beside them with the same.
# An hour and a half on 2 CPU cores for the first line, some 8 hours for the rest (not run to its end); interrupted, it resumes.
set -euo pipefail
runs=${RUNS:-outputs/compare_usps}
sweep() { al-run -m experiment=compare_usps results="$runs" seed="${SEEDS:-0,1,2,3,4}" "$@"; }

sweep strategy=random,uncertainty,margin,entropy,kfac_vfe,kfac_spectral,kfac_trace,core_set,badge,ceal,dfal,egl,emoc,learning_loss
sweep strategy=discriminative_28,core_set_robust # of 50 features: the numbers of their code for few
sweep strategy=dfal strategy.twins=true name=twins
sweep strategy=random,entropy,bald,power_bald,batch_bald,variation_ratios,mean_std learner=ensemble
sweep strategy=random,suggestive_annotation learner=bootstrap

al-plot "$runs" --out outputs/reproduced/compare_usps --facet learner
al-compare "$runs" --out outputs/reproduced/compare_usps
