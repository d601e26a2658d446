"""The exception for a mistake of the user."""


class UsageError(Exception):
    """A mistake that the user can correct; the message is one line and names the fix."""


class Waiting(Exception):
    """A run can't go on before somebody has given labels."""
