"""Deep active-learning experiments: train, measure, choose what to label next, label it, train again."""

__version__ = "0.1.0"
