"""Kronecker-factored Fisher blocks: from a net and its examples to factors and traces.

Axes: n examples, t positions at which a layer uses its weights (1 for a dense layer), i inputs of a position
(for a convolution, those of a patch; a constant 1 more if there is a bias), o outputs, l blocks.
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
