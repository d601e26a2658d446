"""Files and rows: from run folders or a results.csv to one tidy table."""
