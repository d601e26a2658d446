#!/usr/bin/env bash
# GAAL (Zhu & Bento, 2017) from an empty folder: 5 against 7 of MNIST, tested on MNIST and on USPS, beside the margin of the
# pool, random and all data; ten paired seeds. Interrupted, it resumes; SEEDS=0,1 is less.
set -euo pipefail
runs=${RUNS:-outputs/zhu2017_gaal}
for dataset in mnist_5_7 mnist_5_7_usps; do
    sweep() { al-run -m experiment=zhu2017_gaal dataset=$dataset results="$runs" seed="${SEEDS:-range(10)}" ${OPTIONS:-} "$@"; }
    sweep strategy=gaal,margin,random
    sweep strategy=full
done

out=outputs/reproduced/zhu2017_gaal
names=(--label "margin=Margin of the pool" --label "full=All data" --label "mnist_5_7=tested on MNIST")
names+=(--label "mnist_5_7_usps=tested on USPS")
al-plot "$runs" --log --facet dataset --title "5 against 7, a linear machine on the pixels of MNIST" "${names[@]}" --out "$out"
al-compare "$out" --last 5 "${names[@]}"
python "$(dirname "$0")/made_images.py" "$runs" --out "$out"

# How many of its images each run of gaal left undecided
find "$runs" -path '*/gaal/*' -name queries.csv | sort | xargs awk -F, '$2 == "undecided" {sum[FILENAME] += $3}
    END {for (file in sum) print sum[file], "undecided:", file}'
