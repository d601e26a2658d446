"""Where images come from: one source a file; all end as a `DataSet`."""
