#!/usr/bin/env bash
# The start of Figure 1 of Ducoffe & Precioso (2017): MNIST, query 64, to 1,000 labels, one run of every strategy.
# About 30 minutes on 2 CPU cores; interrupted, it resumes.
set -euo pipefail
runs=outputs/ducoffe2017_figure1_start
al-run -m experiment=ducoffe2017_figure1 results=$runs budget.max_labelled=1000 seed="${SEEDS:-0}" \
    strategy=full,kfac_vfe,random,uncertainty,curriculum,least_confidence,margin,entropy
al-plot $runs --log --out outputs/reproduced/ducoffe2017_figure1_start
