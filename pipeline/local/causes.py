"""What a user should read of an error."""

from __future__ import annotations

import errno
import os

from pipeline.errors import PipelineError
from pipeline.local.run_folder import METADATA_FILE

# How the system and TensorFlow put it.
_FULL_DISK = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
# How SQLite puts it; ML Metadata adds its query.
_NO_ROOM_FOR_DATABASE = "database or disk is full"
FREE_SPACE = (
    "Free some space (`runner_local.py gc --dry-run` shows what old runs hold) or choose another --root; "
    "the same command continues."
)


def cause_of(error: BaseException) -> str:
    """Return the project's own sentence if there is one in the chain of causes, otherwise the innermost cause.

    An error of the project that was being handled counts too: TFX cannot write down that a stage failed if the disk is full.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, PipelineError):
            return str(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    innermost = error
    while innermost.__cause__ is not None:
        innermost = innermost.__cause__
    # Beam adds where it was to the text of what it passes on.
    text = str(innermost).split(" [while running")[0].strip()
    if _NO_ROOM_FOR_DATABASE in text:
        return f"The disk is full: there is no room for what {METADATA_FILE} is to hold. {FREE_SPACE}"
    if any(sign.lower() in text.lower() for sign in _FULL_DISK):
        return f"The disk is full: {text}. {FREE_SPACE}"
    name = type(innermost).__name__
    return f"{name}: {text}" if text else name
