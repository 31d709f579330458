"""Names of pipeline jobs, and where they are to be seen."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

from pipeline.errors import ConfigError

_NAME = re.compile(r"projects/[^/]+/locations/[^/]+/pipelineJobs/[^/]+")
_LINK = re.compile(
    r".*/vertex-ai/(?:locations/(?P<region>[^/]+)/)?pipelines/.*?runs/(?P<id>[^/?]+).*[?&]project=(?P<project>[^&]+)"
)


def job_id(pipeline: str, now: datetime) -> str:
    """Return the id of a new job."""
    return f"{pipeline}-{now:%Y%m%d%H%M%S}"


def full_name(job: str, location: str | None) -> str:
    """Return the resource name of a job.

    Args:
      job: its id, its name, or the address of its page.
      location: projects/P/locations/R of the runtime file, None without one.

    Raises:
      ConfigError: an id alone does not say where.
    """
    if _NAME.fullmatch(job):
        return job
    if (link := _LINK.fullmatch(job)) and link["region"]:
        return f"projects/{link['project']}/locations/{link['region']}/pipelineJobs/{link['id']}"
    if "/" in job:
        raise ConfigError(
            f"'{job}' names no pipeline job. Expected its id, projects/P/locations/R/pipelineJobs/ID, or its page."
        )
    if location is None:
        raise ConfigError(
            f"--runtime is needed to find '{job}'; or give its full name: projects/P/locations/R/pipelineJobs/{job}."
        )
    return f"{location}/pipelineJobs/{job}"


def console_link(name: str) -> str:
    """Return the page of a job."""
    _, project, _, region, _, identity = name.split("/")
    return f"https://console.cloud.google.com/vertex-ai/locations/{region}/pipelines/runs/{identity}?project={project}"


def log_link(task_job: str, project: str) -> str:
    """Return the page of the log of the custom job that a task runs as."""
    query = quote(f'resource.labels.job_id="{task_job.rpartition("/")[2]}"', safe="")
    return f"https://console.cloud.google.com/logs/query;query={query}?project={project}"
