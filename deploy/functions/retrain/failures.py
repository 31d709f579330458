"""What may go wrong, and whether another delivery of the event could help."""

from __future__ import annotations


class PermanentError(Exception):
    """No repetition helps: it is told in the log, and the event is acknowledged."""


class TransientError(Exception):
    """It may pass, or somebody has to cure it first: the event is refused, so that it is delivered again."""

    severity = "WARNING"


class ForbiddenError(TransientError):
    """A right is missing: somebody has to grant it, and the event waits for that."""

    severity = "ERROR"


class DeferredError(Exception):
    """Not now: the event is refused on purpose, so that it comes back later."""
