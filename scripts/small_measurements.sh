#!/usr/bin/env bash
# The small measurements of docs/data.md (validation labels), docs/rare_classes.md, docs/open_set.md, docs/methods.md (VAAL),
# docs/learners.md (pseudo-labels, FixMatch), docs/fine_tuning.md and the preset gissin2019_mnist: three seeds each, seven of
# FixMatch, five of open_set and VAAL. About two and a half hours of one CPU core, and 8 minutes for the features; it
# resumes. Fine-tuning needs al-runner[features].
set -euo pipefail
runs=${RUNS:-outputs/small_measurements} out=${OUT:-outputs/reproduced/small_measurements}
usps() { al-run -m dataset=usps threads=1 seed="${seeds:-0,1,2}" budget.query="$1" budget.max_labelled="$2" "${@:3}"; }

val_share() { usps 40 400 results="$runs/val_share" strategy=random,badge budget.initial=40 "$@"; }
val_share name=free
val_share name=aside budget.val_share=0.2
val_share name=aside_loss budget.val_share=0.2 training.monitor=loss

rare() { usps 45 300 results="$runs/$1" strategy="$2" budget.initial=30 pool=long_tailed "${@:3}"; }
rare rare_classes random,margin name=plain
rare rare_classes random,margin name=class_weights training.class_weights=balanced
rare rare_classes random,margin name=minibatches training.minibatches=balanced
rare galaxy random,margin,galaxy name=plain

# Four of ten classes are known; every seed has others.
seeds=0,1,2,3,4 usps 40 320 results="$runs/open_set" strategy=random,margin,lfosa budget.initial=40 pool=open_set pool.known=4 'pool.seed=${seed}'

# VAAL with the divergence's weight of its published code, and with a weight of 1.
vaal() { seeds=0,1,2,3,4 usps 40 330 results="$runs/vaal" budget.initial=10 "$@"; }
vaal strategy=random,vaal
vaal strategy=vaal strategy.divergence_weight=1 name=weight_1

usps 40 200 results="$runs/pseudo_labels" strategy=random,badge budget.initial=40 learner=plain,pseudo_labels

# Both learners take 800 steps, on images that are shifted by up to 2 pixels.
shift='{_target_:al_runner.models.layers.FlipAndShift,_partial_:true,pixels:2,flip:false}'
seeds=0,1,2,3,4,5,6 usps 40 100 results="$runs/fixmatch" strategy=random,badge budget.initial=20 learner=plain,fixmatch \
    training=adam training.batch_size=16 training.repeat_to=16 training.check_every=800 training.max_checks=1 training.patience=1 \
    training.keep=last training.augment="$shift"

cifar() {
    al-run -m dataset=cifar10 threads=1 dataset.split.test=1000 dataset.split.val=500 results="$runs/fine_tuning_$1" strategy=random \
        budget.initial="$1" budget.query=100 budget.max_rounds=0 "${@:2}"
}
probe=(features=efficientnet_lite0 model=linear_probe training=adam training.check_every=400 training.max_checks=1)
fine=(model=efficientnet_lite0 training=fine_tune)
cifar 100 seed=0,1,2 "${probe[@]}"
cifar 100 seed=0,1,2 "${fine[@]}"
cifar 100 seed=0,1,2 model=small_cnn training=adam
cifar 1000 seed=0 "${probe[@]}"
cifar 1000 seed=0 "${fine[@]}"
# The learning rate of training=fine_tune was chosen by this seed.
cifar 100 seed=100 "${fine[@]}" training.optimizer.lr=0.0003,0.001,0.003 'name=rate${training.optimizer.lr}'

al-run -m experiment=gissin2019_mnist threads=1 strategy=random seed=0,1,2 budget.max_rounds=1 results="$runs/gissin2019_mnist"

for part in val_share rare_classes galaxy open_set vaal pseudo_labels fixmatch fine_tuning_100 fine_tuning_1000 gissin2019_mnist; do
    al-plot "$runs/$part" --out "$out/$part" --format png
done
compare() { al-compare "$out/$1" --format png "${@:2}" --full; }
compare val_share --baseline random-free
compare rare_classes --metric balanced_accuracy --baseline random-plain
compare galaxy --metric balanced_accuracy --baseline random-plain
compare open_set
compare vaal
bought() { python "$(dirname "$0")/bought_by_class.py" "$runs/$1" --out "$out/$1" --labels="$2"; }
bought open_set -3 # of no class
bought vaal 1
bought galaxy 7,8,9 # the three rarest classes
compare pseudo_labels --across learner --baseline random-plain
compare fixmatch --across learner --baseline random-plain
