#!/usr/bin/env bash
# KFAC-VFE (Ducoffe & Precioso, 2017): every reading of its contradictions, the published code's rule, and what might be
# better, on USPS with 40 labels a round to 650; five paired seeds, and five others for what looks best.
# About 2 hours on 2 CPU cores; interrupted, it resumes.
set -euo pipefail
out=outputs/reproduced/kfac_vfe_ablation
sweep() { al-run -m experiment=compare_usps results="$runs" seed="$seeds" "$@"; }

all=outputs/kfac_vfe_ablation
runs=$all/first seeds=0,1,2,3,4
sweep strategy=random,uncertainty,kfac_vfe_eq19,kfac_spectral
sweep strategy=kfac_vfe_eq19 strategy.direction=maximise name=maximise
sweep strategy=kfac_code2016
sweep strategy=kfac_vfe_eq19 strategy.start=labelled name=with_labelled
sweep strategy=kfac_vfe_eq19 strategy.labels=expected name=expected_fisher
sweep strategy=kfac_spectral strategy.objective=trace name=trace
sweep strategy=kfac_spectral strategy.start=labelled strategy.objective=divergence,trace 'name=${strategy.objective}_with_labelled'
sweep strategy=kfac_vfe_eq19 strategy.damping=0.001,0.01,1 'name=damping${strategy.damping}'
sweep strategy=kfac_vfe_eq19 strategy.gamma=0.1,1,10 'name=gamma${strategy.gamma}'
sweep strategy=kfac_vfe_eq19 strategy.gamma=1 strategy.invert_labelled=true name=gamma1_inverted
sweep strategy=kfac_vfe_eq19 strategy.gamma=1 strategy.generalisation=0 name=training_factor_alone
sweep strategy=kfac_vfe strategy.target=1 name=effective_size
sweep strategy=kfac_vfe_eq19,uncertainty budget.candidates=all name=all_candidates
sweep strategy=kfac_code2016 strategy.direction=maximise name=maximise
# What helped alone, together.
sweep strategy=kfac_vfe_eq19,kfac_spectral strategy.start=labelled strategy.labels=expected name=expected_with_labelled
sweep strategy=kfac_vfe_eq19 strategy.start=labelled strategy.damping=0.001,0.01 'name=damping${strategy.damping}_with_labelled'
al-plot "$runs" --out $out --log --only "random,uncertainty,kfac_vfe_eq19,kfac_vfe-effective_size,kfac_spectral-trace_with_labelled,kfac_vfe_eq19-maximise,kfac_code2016"
al-compare $out --baseline uncertainty

# The variants that came out best, beside the default and uncertainty, on seeds that nothing was chosen by.
runs=$all/fresh seeds=5,6,7,8,9
sweep strategy=uncertainty,kfac_vfe_eq19
sweep strategy=kfac_spectral strategy.start=labelled strategy.objective=trace 'name=${strategy.objective}_with_labelled'
sweep strategy=kfac_vfe strategy.target=1 name=effective_size
al-plot "$runs" --out $out/fresh_seeds
al-compare $out/fresh_seeds --baseline uncertainty
al-compare $out $out/fresh_seeds --baseline uncertainty --out $out/ten_seeds \
    --only uncertainty,kfac_vfe_eq19,kfac_vfe-effective_size,kfac_spectral-trace_with_labelled
