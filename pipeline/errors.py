"""Errors that are the user's to mend."""


class UsageError(Exception):
    """The command cannot do what was asked; the text says what to change.

    It ends the command with one line and exit code 2.
    """
