"""What a user should read of an error."""

from __future__ import annotations

from pipeline.errors import PipelineError


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
    return f"{name}: {text}" if text else name
