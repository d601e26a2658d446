#!/usr/bin/env bash
# Figure 2 of Ducoffe & Precioso (2017) with KFAC-VFE's target of eq. 19 and growing with the labels, beside random,
# uncertainty and all labels: USPS, query 8, five paired seeds. About 2 hours on 2 CPU cores; interrupted, it resumes.
set -euo pipefail
runs=outputs/ducoffe2017_figure2_growing out=outputs/reproduced/ducoffe2017_figure2_growing
seeds=${SEEDS:-0,1,2,3,4}
al-run -m experiment=ducoffe2017_figure2 results=$runs seed="$seeds" strategy=full,random,uncertainty,kfac_vfe,kfac_vfe_eq19
al-plot $runs --log --common --out $out
al-compare $out --baseline uncertainty --last 10
