"""Where images come from: each file is one source, and each source ends in a `DataSet`."""
