"""Why a job is to start: a schedule's slot, a span that is complete, a report of drift."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from failures import PermanentError
from google_rest import Google, NotFoundError
from settings import Settings

FINALIZED = "google.cloud.storage.object.v1.finalized"
SCHEDULE = "pipeline.retrain.schedule"
# Cloud Scheduler says with it which of its moments a request stands for, the same one when it tries again.
SLOT_HEADER = "X-CloudScheduler-ScheduleTime"
_REPORT_VERSION = 1


@dataclass(frozen=True)
class Cause:
    """A reason to train.

    Attributes:
      kind: "schedule", "span" or "drift".
      key: what makes it this one: the same however often it is told.
      told: in words.
      span: of a span: its number.
      generation: of a span: which writing of its marker.
    """

    kind: str
    key: str
    told: str
    span: int | None = None
    generation: str = ""

    def job_id(self, pipeline: str) -> str:
        """Return the id of the job for it: 128 characters at most, as Vertex AI has them."""
        return f"{pipeline}-{self.kind}-{self.digest}"

    @property
    def digest(self) -> str:
        """Return the key in 16 characters."""
        return hashlib.sha256(f"{self.kind} {self.key}".encode()).hexdigest()[:16]


def cause_of(kind: str, data: Any, headers: Mapping[str, str], settings: Settings, google: Google) -> Cause | None:
    """Return what an event stands for, None for nothing.

    Args:
      kind: type of the CloudEvent.
      data: its data.
      headers: of the request that brought it.
      settings: what is watched.
      google: where reports of drift are read.

    Raises:
      PermanentError: it is damaged.
      TransientError: a report cannot be read now.
    """
    if kind == SCHEDULE:
        return _of_schedule(headers)
    if kind != FINALIZED:
        raise PermanentError(f"An event of the type '{kind}'. Expected {FINALIZED} or {SCHEDULE}: look at its trigger.")
    try:
        bucket, name, generation = data["bucket"], data["name"], str(data["generation"])
    except (KeyError, TypeError) as error:
        raise PermanentError(f"The event names no object: {error!r} is missing.") from None
    marker = settings.span_marker
    if marker and bucket == settings.data_bucket and (number := marker.number(name)) is not None:
        place = f"gs://{bucket}/{name}"
        return Cause("span", f"{place}#{generation}", f"{place} says that a span is complete", number, generation)
    if bucket == settings.bucket and name.startswith(settings.drift_folder) and name.endswith(".json"):
        return _of_report(bucket, name, generation, settings, google)
    return None


def _of_schedule(headers: Mapping[str, str]) -> Cause:
    slot = headers.get(SLOT_HEADER, "")
    if not slot:
        raise PermanentError(f"A scheduled run without {SLOT_HEADER}: it does not come from Cloud Scheduler.")
    return Cause("schedule", slot, f"it is scheduled for {slot}")


def _of_report(bucket: str, name: str, generation: str, settings: Settings, google: Google) -> Cause | None:
    place = f"gs://{bucket}/{name}"
    try:
        content = google.read(bucket, name, generation)
    except NotFoundError:
        raise PermanentError(f"{place} has gone, or was written anew, before it was read.") from None
    try:
        report = json.loads(content)
        version, pipeline, drifted = report["schema_version"], report["pipeline"], report["drifted"]
        features = [feature["name"] for feature in report["features"] if feature["drifted"]]
    except (ValueError, KeyError, TypeError) as error:
        raise PermanentError(f"{place} is no report of drift ({type(error).__name__}: {error}).") from None
    if version != _REPORT_VERSION:
        raise PermanentError(f"{place} has schema_version {version}, expected {_REPORT_VERSION}.")
    if pipeline != settings.pipeline:
        raise PermanentError(f"{place} is about the pipeline '{pipeline}', expected '{settings.pipeline}'.")
    if drifted is not True:
        return None
    return Cause("drift", f"{place}#{generation}", f"{place} tells of drift in {', '.join(features) or 'the data'}")
