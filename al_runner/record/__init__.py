"""A run's folder: its journal and tables, its name, its state."""
