#!/usr/bin/env bash
# Ensembles against MC dropout and one net, and the ablations of Beluch et al. (2018): the number of members, shared
# initial weights, smaller members, one order of minibatches for all. USPS, their S-CNN, paired seeds; it resumes.
set -euo pipefail
runs=${RUNS:-outputs/beluch2018_ablation} out=${OUT:-outputs/reproduced/beluch2018_ablation}
sweep() { al-run -m experiment=beluch2018_ablation results="$runs" seed="${SEEDS:-0,1,2}" ${OPTIONS:-} "$@"; }

sweep strategy=variation_ratios,random
sweep strategy=variation_ratios learner=dropout learner.samples=25 learner.shared_masks=true
sweep strategy=variation_ratios learner.shared_init=true name=shared_init
sweep strategy=variation_ratios model.width=0.5 name=half_width
sweep strategy=variation_ratios learner.shared_order=true name=shared_order
sweep strategy=variation_ratios training.reshuffle=false name=fixed_order # no shuffling at all: not the paper's ablation
sweep strategy=variation_ratios learner.members=2,3,10 'name=members${learner.members}'
sweep strategy=entropy,bald
sweep strategy=entropy,core_set,random learner=plain

al-plot "$runs" --across learner --split none --out "$out" \
  --only variation_ratios-ensemble,random-ensemble,variation_ratios-dropout,entropy-plain,core_set-plain,random-plain
al-compare "$out" --across learner --baseline variation_ratios-ensemble --last 3
