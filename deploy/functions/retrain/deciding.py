"""Whether a cause gets a job: not twice, not for a span that is superseded, not beside or right after another job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from causes import Cause
from failures import DeferredError, PermanentError
from google_rest import Google
from settings import Settings
from span_patterns import SpanPattern

_UNDER_WAY = {f"PIPELINE_STATE_{state}" for state in ("QUEUED", "PENDING", "RUNNING", "CANCELLING", "PAUSED")}
_IN_VAIN = {f"PIPELINE_STATE_{state}" for state in ("FAILED", "CANCELLED")}


@dataclass(frozen=True, order=True)
class Span:
    """A span that is complete.

    Attributes:
      number: of a date: days since 1970-01-01.
      generation: of its marker: a larger one was written later.
    """

    number: int
    generation: int

    def labels(self) -> dict[str, str]:
        """Return labels that say of a job which span it reads."""
        return {"span": str(self.number), "span_generation": str(self.generation)}


def newest_span(google: Google, bucket: str, marker: SpanPattern) -> Span:
    """Return the newest span that is complete.

    Args:
      google: where to look.
      bucket: without gs://.
      marker: which objects say so.

    Raises:
      PermanentError: there is none.
      TransientError: not now.
    """
    found = ((marker.number(name), generation) for name, generation in google.objects(bucket, marker.prefix, marker.glob))
    spans = [Span(number, int(generation)) for number, generation in found if number is not None]
    if not spans:
        raise PermanentError(f"No span is complete: gs://{bucket} has no object that matches {marker.glob}.")
    return max(spans)


def why_not(cause: Cause, newest: Span | None, jobs: list[dict[str, Any]], settings: Settings) -> str:
    """Return why a cause gets no job, "" if it gets one.

    Args:
      cause: the reason to train.
      newest: the span that a job would read, None where spans have no numbers.
      jobs: of this pipeline, the newest first.
      settings: with the shortest time between two jobs.

    Raises:
      DeferredError: it is to get one, but not now.
    """
    names = {job["name"].rpartition("/")[2]: job for job in jobs}
    if cause.job_id(settings.pipeline) in names:
        return "it has its job already"
    if cause.kind == "span" and newest:
        if newest != Span(cause.span or 0, int(cause.generation)):
            return f"span {newest.number} is complete, and newer" if newest.number != cause.span else "its marker changed since"
        for name, job in names.items():
            if newest.labels().items() <= job.get("labels", {}).items() and job.get("state") not in _IN_VAIN:
                return f"{name} reads this span"
    hindrance = _hindrance(jobs, settings.min_hours_between)
    if hindrance and cause.kind == "span":  # nobody would tell of it again
        raise DeferredError(f"The span waits: {hindrance}. Its event will be delivered again.")
    return hindrance


def _hindrance(jobs: list[dict[str, Any]], min_hours: float) -> str:
    """Return what speaks against any further job just now, "" for nothing."""
    for job in jobs:
        name, state = job["name"].rpartition("/")[2], job.get("state", "")
        if state in _UNDER_WAY:
            return f"{name} is {state.removeprefix('PIPELINE_STATE_').lower()}"
        started = datetime.fromisoformat(job["createTime"][:19]).replace(tzinfo=timezone.utc)
        hours = (datetime.now(timezone.utc) - started) / timedelta(hours=1)
        if hours < min_hours:
            return f"{name} was started {hours:.1f} hours ago, and MIN_HOURS_BETWEEN is {min_hours:g}"
    return ""
