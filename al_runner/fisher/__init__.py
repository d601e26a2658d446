"""Kronecker-factored Fisher blocks: tensors in, factors and traces out.

Axes: n examples, t positions a layer's weights are used at (1 for a dense layer), i inputs of a position
(a patch for a convolution, plus a constant 1 where there is a bias), o outputs, l layers.
"""

from al_runner.fisher.capture import capture
from al_runner.fisher.factors import Factors, FactorSums, added, factor_sums, mean_factors, parameter_count
from al_runner.fisher.inverse import damped_inverse, nystrom_inverse
from al_runner.fisher.layers import treatable_layers
from al_runner.fisher.parallel import parallel_mean_factors
from al_runner.fisher.rows import LayerSamples
from al_runner.fisher.traces import Spectra, Traces, product_traces, spectra, squared_traces

__all__ = [
    "FactorSums",
    "Factors",
    "LayerSamples",
    "Spectra",
    "Traces",
    "added",
    "capture",
    "damped_inverse",
    "factor_sums",
    "mean_factors",
    "nystrom_inverse",
    "parallel_mean_factors",
    "parameter_count",
    "product_traces",
    "spectra",
    "squared_traces",
    "treatable_layers",
]
