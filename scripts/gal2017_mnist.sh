#!/usr/bin/env bash
# Figure 1 and table 1 of Gal et al. (2017) from an empty folder: a Bayesian CNN on MNIST, 10 labels a round to 1,020, three
# paired seeds. Interrupted, it resumes; LABELS=300 scripts/gal2017_mnist.sh stops earlier, and without it goes on later.
set -euo pipefail
runs=${RUNS:-outputs/gal2017_mnist}
al-run -m experiment=gal2017_mnist results="$runs" seed="${SEEDS:-0,1,2}" budget.max_labelled="${LABELS:-1020}" \
    strategy="${STRATEGIES:-bald,variation_ratios,entropy,random,mean_std}" "$@"

al-plot "$runs" --accuracy --published gal2017 --out outputs/reproduced/gal2017_mnist
python "$(dirname "$0")/gal2017_tables.py" "$runs" --out outputs/reproduced/gal2017_mnist
