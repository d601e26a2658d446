"""The options that a user sets: whether they are right, and what to do if they are not."""
