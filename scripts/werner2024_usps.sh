#!/bin/sh
# USPS of CDALBench (Werner et al., 2024): seven strategies, 50 seeds as there, about 18 seconds a run on one CPU core.
set -e
al-run -m experiment=werner2024_usps seed='range(50)' strategy=random,margin,uncertainty,entropy,badge,typiclust,core_set
