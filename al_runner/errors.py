"""The one exception that stands for a mistake of the user's."""


class UsageError(Exception):
    """Something the user can mend; the message is one line and names the fix."""


class Waiting(Exception):
    """A run can't go on before somebody has given labels."""
