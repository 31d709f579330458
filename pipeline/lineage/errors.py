"""What can go wrong when a lineage is asked for."""

from pipeline.errors import PipelineError


class LineageError(PipelineError):
    """There is no answer: an unknown model, or nothing left to read. Exit code 2."""


class StoreError(LineageError):
    """ML Metadata is gone or cannot be read."""
