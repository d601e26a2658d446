"""Numbers from the tidy table: curves, measures of a run, comparisons."""
