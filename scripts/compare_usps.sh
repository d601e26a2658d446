#!/usr/bin/env bash
# 26 strategies under one protocol (conf/experiment/compare_usps.yaml): USPS, the same splits, initial sets, net and training,
# 40 labels a round to 650, five paired seeds. Methods that need a committee have one, and random beside them with the same.
# Some 7 hours of a CPU core (6.9 for 145 of its 150 runs, training and queries, beside other work); interrupted, it resumes.
set -euo pipefail
runs=${RUNS:-outputs/compare_usps}
out=${OUT:-outputs/reproduced/compare_usps}
sweep() { al-run -m experiment=compare_usps results="$runs" seed="${SEEDS:-0,1,2,3,4}" "$@"; }

sweep strategy=random,uncertainty,margin,entropy,kfac_vfe,kfac_vfe_eq19,kfac_spectral,kfac_trace,core_set,core_set_robust
sweep strategy=badge,bait,ceal,cluster_margin,dfal,egl,emoc,learning_loss
sweep strategy=dfal strategy.twins=true name=twins
sweep strategy=discriminative_28 strategy.mini_queries=8 # their training for 28 x 28 images, and their 5 images a mini-query
sweep strategy=random,entropy,bald,epig,power_bald,batch_bald,variation_ratios,mean_std learner=ensemble
sweep strategy=random,suggestive_annotation learner=bootstrap

shown=random-plain,random-ensemble,uncertainty-plain,kfac_vfe-plain,kfac_vfe_eq19-plain,badge-plain,bait-plain,entropy-ensemble
al-plot "$runs" --out "$out" --log --across learner --only "$shown"
al-compare "$out" --across learner --baseline random-plain
