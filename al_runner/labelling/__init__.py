"""What a person is asked and what the person answers: a page and tables, and the check of the answers."""
