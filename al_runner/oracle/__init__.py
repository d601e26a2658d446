"""Oracles: they give the labels that a run buys. One kind in each file."""
