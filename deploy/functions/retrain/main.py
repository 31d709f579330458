"""Continuous training: an event comes in, the promoted job of the pipeline goes to Vertex AI, one at a time.

Described in docs/continuous_training.md.
"""

from __future__ import annotations

import os
import traceback
from datetime import datetime, timedelta, timezone
from threading import Lock
from typing import Any

import flask
import functions_framework
import promoted_job
from causes import SCHEDULE, SLOT_HEADER, Cause, cause_of
from cloudevents.http import CloudEvent
from deciding import Span, newest_span, why_not
from failures import DeferredError, PermanentError, TransientError
from google_rest import Google, NotFoundError
from json_log import log
from settings import LATE_SCHEDULE_MINUTES, LONGEST_PAUSE_HOURS, Settings
from werkzeug.exceptions import ServiceUnavailable

# There is one instance (deploy/terraform): between looking and submitting nobody else submits.
_ONE_AT_A_TIME = Lock()


@functions_framework.cloud_event
def retrain(event: CloudEvent) -> None:
    """Answer an event: 200, it is dealt with; 503, deliver it again."""
    told: dict[str, Any] = {"event": event["id"], "event_type": event["type"]}
    try:
        _answer(event, told)
    except PermanentError as error:
        log("ERROR", str(error), **told)
    except (TransientError, DeferredError) as error:
        if _is_late(event):
            log("ERROR", f"{error} It will not be delivered much longer: docs/continuous_training.md.", **told)
        else:
            log("NOTICE" if isinstance(error, DeferredError) else error.severity, str(error), **told)
        raise ServiceUnavailable(str(error)) from None
    except Exception as error:
        log("ERROR", f"Unexpected: {error!r}. The event will be delivered again.", trace=traceback.format_exc(), **told)
        raise ServiceUnavailable("Unexpected: see the log.") from None


def _answer(event: CloudEvent, told: dict[str, Any]) -> None:
    settings = Settings.read(os.environ)
    google = Google(settings.location)
    cause = cause_of(event["type"], event.data, flask.request.headers, settings, google)
    if cause is None:
        log("DEBUG", "Nothing to train for.", **told)
        return
    identity = cause.job_id(settings.pipeline)
    told |= {"cause": cause.kind, "cause_key": cause.key, "job": identity}
    with _ONE_AT_A_TIME:
        marker = settings.span_marker
        span = newest_span(google, settings.data_bucket, marker) if marker and marker.is_numbered else None
        if reason := why_not(cause, span, google.jobs(settings.pipeline), settings):
            log("INFO", f"No new job: {reason}.", **told)
            return
        is_new = google.submit(_job(cause, span, settings, google), identity)
    if is_new:
        log("NOTICE", f"Submitted: {cause.told}.", span=span.number if span else None, **told)
    else:
        log("INFO", "No new job: it was submitted before.", **told)


def _job(cause: Cause, span: Span | None, settings: Settings, google: Google) -> dict[str, Any]:
    """Return the promoted job, made for a cause.

    Raises:
      PermanentError: there is none, or it is none of this pipeline's.
    """
    place = f"gs://{settings.bucket}/{settings.job_object}"
    try:
        content = google.read(settings.bucket, settings.job_object)
    except NotFoundError:
        raise PermanentError(f"{place} is not there: publish it by make publish-job, or run the release.") from None
    job = promoted_job.parse(content, place, settings.pipeline, settings.bucket)
    if span:
        promoted_job.pin_span(job, span.number, place)
    else:
        promoted_job.read_data_anew(job)
    job["labels"] |= {"cause": cause.kind, "cause_id": cause.digest} | (span.labels() if span else {})
    return job


def _is_late(event: CloudEvent) -> bool:
    """Tell whether an event is about to be given up by who delivers it; no, if it does not say when it happened."""
    if event["type"] == SCHEDULE:
        told, patience = flask.request.headers.get(SLOT_HEADER), timedelta(minutes=LATE_SCHEDULE_MINUTES)
    else:
        told, patience = event.get("time"), timedelta(hours=LONGEST_PAUSE_HOURS)
    try:
        happened = datetime.fromisoformat(told[:19]).replace(tzinfo=timezone.utc)
    except (TypeError, ValueError):
        return False
    return datetime.now(timezone.utc) - happened > patience
