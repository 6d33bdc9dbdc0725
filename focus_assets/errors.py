"""The root of every error this package raises on purpose."""


class FocusAssetsError(Exception):
    """Something a person can mend; the message says what is wrong, where, and what is allowed.

    The command line prints the message alone. Any other exception is a defect and keeps its traceback.
    """
