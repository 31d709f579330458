"""What the function is told by its environment, which Terraform sets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from failures import PermanentError
from span_patterns import SpanPattern

# Eventarc gives an event up after 24 hours. A span has to come through before.
LONGEST_PAUSE_HOURS = 20.0
# Cloud Scheduler gives a moment up after its fifth try again, 25 minutes later (retry_config in deploy/terraform).
LATE_SCHEDULE_MINUTES = 20.0


@dataclass(frozen=True)
class Settings:
    """Where jobs run, and what starts them.

    Attributes:
      location: projects/P/locations/R.
      bucket: of the pipeline, without gs://.
      pipeline: its name.
      job_object: where the promoted job lies in that bucket.
      data_bucket: where spans arrive, without gs://.
      span_marker: which object says that a span is complete; None: no span starts a job.
      min_hours_between: from the start of one job to the start of the next.
    """

    location: str
    bucket: str
    pipeline: str
    job_object: str
    data_bucket: str
    span_marker: SpanPattern | None
    min_hours_between: float

    @property
    def drift_folder(self) -> str:
        """Where reports of drift arrive, in the bucket of the pipeline."""
        return f"{self.pipeline}/drift/"

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Read them.

        Raises:
          PermanentError: one is missing or makes no sense.
        """
        needed = {name: environment.get(name, "") for name in ("PROJECT", "REGION", "BUCKET", "PIPELINE")}
        if lacking := [name for name, value in needed.items() if not value]:
            raise PermanentError(f"The environment lacks {', '.join(lacking)}. Terraform sets it: deploy/terraform.")
        pipeline = needed["PIPELINE"]
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", pipeline):
            raise PermanentError(f"PIPELINE is '{pipeline}'. Expected the `name` of a config: a-z, 0-9 and dashes.")
        marker = environment.get("SPAN_MARKER", "")
        return cls(
            location=f"projects/{needed['PROJECT']}/locations/{needed['REGION']}",
            bucket=needed["BUCKET"],
            pipeline=pipeline,
            job_object=environment.get("JOB_OBJECT") or f"{pipeline}/promoted/job.json",
            data_bucket=environment.get("DATA_BUCKET") or needed["BUCKET"],
            span_marker=SpanPattern(marker) if marker else None,
            min_hours_between=_hours(environment.get("MIN_HOURS_BETWEEN", "0")),
        )


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = -1.0
    if not 0 <= hours <= LONGEST_PAUSE_HOURS:
        raise PermanentError(
            f"MIN_HOURS_BETWEEN is '{text}'. Expected 0 to {LONGEST_PAUSE_HOURS:.0f}: an event is delivered for 24 hours only."
        )
    return hours
