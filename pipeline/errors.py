"""Errors that are the user's to mend."""

import argparse
from typing import NoReturn


class UsageError(Exception):
    """The command cannot do what was asked; the text says what to change.

    It ends the command with one line and exit code 2.
    """


class Parser(argparse.ArgumentParser):
    """Complains in one line, as everything else does."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (`{self.prog} --help` explains)")
