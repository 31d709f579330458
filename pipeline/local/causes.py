"""What a user should read of an error."""

from __future__ import annotations

import errno
import os

from pipeline.errors import PipelineError

# How the system, SQLite and TensorFlow put it.
_FULL_DISK = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "database or disk is full")
FREE_SPACE = (
    "Free some space (`runner_local.py gc --dry-run` shows what old runs hold) or choose another --root; "
    "the same command continues."
)


def cause_of(error: BaseException) -> str:
    """Return the project's own sentence if there is one in the chain of causes, otherwise the innermost cause."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    for link in chain:
        if isinstance(link, PipelineError):
            return str(link)
    # Beam adds where it was to the text of what it passes on.
    text = str(chain[-1]).split(" [while running")[0].strip()
    name = type(chain[-1]).__name__
    if any(sign.lower() in text.lower() for sign in _FULL_DISK):
        return f"The disk is full: {text}. {FREE_SPACE}"
    return f"{name}: {text}" if text else name
