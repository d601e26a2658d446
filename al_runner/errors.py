"""The exceptions that say something to the user."""


class UsageError(Exception):
    """A mistake that the user can correct; the message is one line and names the fix."""


class Waiting(Exception):
    """A run can't go on before somebody has given labels."""


# ArithmeticError and subclasses of our own say that a net computes NaN; these of Python's are faults of the code.
FAULTS = (ZeroDivisionError, OverflowError, FloatingPointError)
