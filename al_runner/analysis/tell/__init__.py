"""The results in sentences and in printed tables."""
