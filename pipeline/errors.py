"""Errors that are the user's to mend."""

import argparse
from typing import NoReturn


class UsageError(Exception):
    """The command cannot do what was asked; the text says what to change.

    It ends the command with one line and exit code 2.
    """


def no_credentials(err: Exception) -> UsageError:
    """What to do where the client libraries of Google Cloud find nobody to act as."""
    return UsageError(
        "no credentials for Google Cloud: `gcloud auth application-default login` "
        f"({str(err).splitlines()[0]})"
    )


class Parser(argparse.ArgumentParser):
    """Complains in one line, as everything else does."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (`{self.prog} --help` explains)")
