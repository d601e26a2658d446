"""Who gives the labels that a run buys: one way a file."""
