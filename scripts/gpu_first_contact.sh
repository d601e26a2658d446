#!/usr/bin/env bash
# The first run on a new GPU: correctness, then every strategy, then memory and speed. At most half an hour.
#   scripts/gpu_first_contact.sh
# Run it from the repository's root, in an environment with the extra `dev`. Every stage has a limit of seconds, and the next
# one starts even if it fails. $OUT/summary.txt has one line a stage; please put it and the GPU's name into an issue. The last
# two stages need USPS below AL_DATA (it is downloaded if it is missing). DEVICE=cpu tries the script out without a GPU.
set -uo pipefail
OUT=${OUT:-outputs/gpu_first_contact} DEVICE=${DEVICE:-cuda}
mkdir -p "$OUT"
export OUT DEVICE
failed=0
stage() { # name, seconds, command
    local name=$1 limit=$2 start=$SECONDS status
    shift 2
    timeout "$limit" "$@" >"$OUT/$name.log" 2>&1
    status=$?
    [ $status = 0 ] || failed=1
    echo "$name: exit $status after $((SECONDS - start)) s | $(tail -n 1 "$OUT/$name.log" | cut -c1-150)" | tee -a "$OUT/summary.txt"
}
digits() { al-run -m device="$DEVICE" dataset=digits budget.max_rounds=2 training.max_checks=3 results="$OUT/runs" "$@"; }
export -f digits

python -c "import torch; print(torch.__version__, torch.version.cuda, *(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())))" | tee "$OUT/summary.txt"
# 1. Is it right? One run, two strategies in lock-step, stacks against single nets, and no graph that could not be captured.
stage one_run 90 bash -c 'digits hydra/launcher=basic strategy=random seed=0'
stage lock_step 90 bash -c 'digits hydra/launcher=lockstep strategy=random,entropy seed=0,1'
stage engines 180 python -m pytest -q tests/engine/test_gpu.py
stage races 120 env TORCH_CUDA_SANITIZER=1 python -m pytest -q tests/engine/test_gpu.py -k "fourth_step or masks"
stage deterministic 90 bash -c 'set -e
    for name in once again; do digits hydra/launcher=basic strategy=badge seed=0 deterministic=true name=$name; done
    bought() { cat "$OUT"/runs/*/*/badge-$1/seed0/acquired.csv; }
    [ "$(bought once | wc -l)" -gt 20 ] && cmp <(bought once) <(bought again) && echo the same images were bought twice'
stage precisions 90 bash -c 'for p in float32 tf32 bfloat16; do digits hydra/launcher=lockstep strategy=random seed=0,1 training.precision=$p name=$p; done'
# 2. Does every strategy run? Those that need samples have an ensemble.
sampling=bald,batch_bald,epig,mean_std,power_bald,variation_ratios,suggestive_annotation
stage strategies 240 bash -c "digits hydra/launcher=lockstep 'strategy=glob(*,exclude=[gaal,full,$sampling])'"
stage sampling 90 bash -c "digits hydra/launcher=lockstep learner=ensemble strategy=$sampling"
# 3. Where does the time go, and how long is a paper's figure?
stage step 60 python scripts/benchmarks/net_steps.py --device "$DEVICE"
stage figure 300 python scripts/benchmarks/figure.py --seeds 1
stage figure_stacked 300 al-run -m device="$DEVICE" experiment=ducoffe2017_figure2 budget.max_rounds=15 'seed=range(0,10)' \
    strategy=random,uncertainty,curriculum,kfac_vfe_eq19 hydra/launcher=lockstep results="$OUT/figure"
if grep -rlq "without a CUDA graph" "$OUT"/*.log; then
    echo "some training ran without a CUDA graph: grep 'CUDA graph' $OUT/*.log" | tee -a "$OUT/summary.txt"
    failed=1
fi
exit $failed
