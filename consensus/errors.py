"""What can go wrong, by what the user can do about it.

ConsensusError            exit code 1: it failed; the message says what, which, and what to do
├── Interrupted         exit code 130: the user stopped it; what was done is kept
├── TrainingFailed        exit code 1: a training run broke off; it goes on from its last checkpoint
└── UsageError            exit code 2: the command or the cycle file is not right; nothing was done
    └── StoreBusy         another command has the store open

A run that stops early but can be resumed (exit code 4) is an outcome, not an error; see labeling/labeler.py.
"""

from __future__ import annotations


class ConsensusError(Exception):
    """Something failed that the user should read about in one message, without a traceback."""

    exit_code = 1


class Interrupted(ConsensusError):
    """Stopped by Ctrl-C; the message says what goes on where."""

    exit_code = 130


class TrainingFailed(ConsensusError):
    """A training run cannot go on: the loss is no number, or memory ran out; what was saved stays."""


class UsageError(ConsensusError):
    """The command line or the cycle file is not right; nothing was done."""

    exit_code = 2


class StoreBusy(UsageError):
    """The store is open in another process; DuckDB lets no second one in, not even to read."""
