"""The self-contained HTML page of al-report."""
