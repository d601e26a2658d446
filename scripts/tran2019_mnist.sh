#!/usr/bin/env bash
# Tran et al. (2019) on MNIST from an empty folder, made small for a CPU: 100 to 1,100 labels, the arms of table I, three
# paired seeds. Interrupted, it resumes; ROUNDS=3 scripts/tran2019_mnist.sh stops earlier, and without it goes on later.
set -euo pipefail
runs=${RUNS:-outputs/tran2019_mnist}
sweep() {
    al-run -m experiment=tran2019_mnist_small results="$runs" seed="${SEEDS:-0,1,2}" budget.max_rounds="${ROUNDS:-10}" \
        ${OPTIONS:-} "$@"
}

sweep learner=dropout                                       # AL without augmentation
sweep learner=dropout training=tran2019_small_turned        # AL w. PMDA
sweep learner=dropout strategy=random                       # random selection
sweep learner=acgan_small                                   # AL w. ACGAN
sweep learner=acgan_small strategy=random                   # BDA (partial)
sweep learner=vae_acgan_small                               # AL w. VAE-ACGAN

out=outputs/reproduced/tran2019_mnist_small
arms=(
    --label 'bald-dropout-tran2019_small=AL without augmentation'
    --label 'bald-dropout-tran2019_small_turned=AL with PMDA'
    --label 'random-dropout-tran2019_small=Random selection'
    --label 'bald-acgan_small-tran2019_small=AL with ACGAN'
    --label 'random-acgan_small-tran2019_small=BDA (partial)'
    --label 'bald-vae_acgan_small-tran2019_small=AL with VAE-ACGAN'
)
al-plot "$runs" --across learner,training --accuracy "${arms[@]}" --out "$out"
al-compare "$out" --across learner,training --baseline bald-dropout-tran2019_small --last 3 "${arms[@]}"
python "$(dirname "$0")/tran2019_twins.py" "$runs" --out "$out"
python "$(dirname "$0")/made_images.py" "$runs" --out "$out"
python "$(dirname "$0")/tran2019_figure3.py" --out "$out" training.check_every=2000
