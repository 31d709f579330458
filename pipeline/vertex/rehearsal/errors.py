"""What can go wrong in a rehearsal.

PipelineError
├── RefusedError        the service would not take the job: nothing ran
└── TaskFailedError     a task failed
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import ConfigError, PipelineError


class RefusedError(ConfigError):
    """The service would not take the job."""

    def __init__(self, mistakes: Sequence[str]):
        """Say every mistake, a line each."""
        super().__init__("\n".join(["Vertex AI would not take this job:", *(f"  {mistake}" for mistake in mistakes)]))
        self.mistakes = tuple(mistakes)


class TaskFailedError(PipelineError):
    """A task failed: its text is the cause."""
