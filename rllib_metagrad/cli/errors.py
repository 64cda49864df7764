"""Errors that the user sees as one line."""

from __future__ import annotations

__all__ = ["BAD_INPUT", "BadInputError", "CliError", "InterruptedRunError", "RunFailedError", "one_line"]

BAD_INPUT = 2
RUN_FAILED = 1


class CliError(Exception):
    """An error that is printed as one line on stderr; `exit_code` is the command's exit status."""

    exit_code = RUN_FAILED


class BadInputError(CliError):
    """The user's file, flag or path is wrong: what, where, and what to do."""

    exit_code = BAD_INPUT


class RunFailedError(CliError):
    """The input was fine, but a trial failed."""

    exit_code = RUN_FAILED


class InterruptedRunError(CliError):
    """The run was stopped by a signal; the message says how to resume."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def one_line(error: BaseException | str) -> str:
    """The first paragraph of a message, joined into one line (RLlib's messages run over many)."""
    text = str(error).strip()
    if not text and isinstance(error, BaseException):
        return type(error).__name__
    # RLlib appends this advice to every validation error; it points away from the mistake.
    text = text.split("\nTo suppress all validation errors")[0]
    return " ".join(text.split())
