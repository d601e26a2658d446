"""What a person is asked and what comes back: a page, tables, and their check."""
