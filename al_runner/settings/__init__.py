"""Options as the user gives them: are they of the right kind, and what to do where they are not."""
