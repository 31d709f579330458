"""What the retrain function finds in the cloud, and how it is told of it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from retrain_service import BUCKET, DATA, Function, Storage

from pipeline.vertex.stand_in.server import StandIn

JOB = "taxi/promoted/job.json"
MARKER = "taxi/span-007/_SUCCESS"
LOCATION = "projects/my-project/locations/europe-west4"
REPORT = {
    "schema_version": 1, "pipeline": "taxi", "drifted": True, "created": "2026-11-26T19:00:00Z", "examples": 1234,
    "features": [{"name": "fare", "measure": "jensen_shannon", "distance": 0.31, "bound": 0.1, "drifted": True},
                 {"name": "hour", "measure": "jensen_shannon", "distance": 0.01, "bound": 0.1, "drifted": False}],
}  # fmt: skip


class Cloud:
    """What the function finds: objects and jobs."""

    def __init__(self, storage: Storage, vertex: StandIn):
        self.storage, self.vertex = storage, vertex

    @property
    def jobs(self) -> list[Any]:
        """Jobs, the newest first."""
        return self.vertex.resources.list(LOCATION, "pipelineJobs")

    def finish(self, state: str = "SUCCEEDED", hours_ago: float = 3.0) -> None:
        """Have every job be over, started so long ago."""
        for job in self.jobs:
            job.state = type(job.state)[f"PIPELINE_STATE_{state}"]
            job.create_time = datetime.now(timezone.utc) - timedelta(hours=hours_ago)

    def clear(self) -> None:
        for job in self.jobs:
            self.vertex.resources.delete(job.name)
        self.storage.objects.clear()


def complete(cloud: Cloud, function: Function, name: str = MARKER, **attributes: str) -> int:
    """Tell that a span is complete; return the answer's code."""
    return function.finalized(DATA, name, cloud.storage.objects[DATA, name][0], **attributes).status_code


def drift(cloud: Cloud, function: Function, report: Any) -> int:
    """Write a report of drift and tell of it; return the answer's code."""
    name = "taxi/drift/2026-11-26.json"
    content = report if isinstance(report, bytes) else json.dumps(report).encode()
    return function.finalized(BUCKET, name, cloud.storage.put(BUCKET, name, content)).status_code
