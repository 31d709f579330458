"""Gets a compiled job ready for this machine: checked, the bucket a folder, its commands such as can run here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.local.lock import STAGES_LOCK_FILE
from pipeline.vertex.rehearsal.adapting import adapted, beam_args_in, containers_in
from pipeline.vertex.rehearsal.beam_options import on_dataflow
from pipeline.vertex.rehearsal.bucket import Redirection, bucket_of, buckets_in
from pipeline.vertex.rehearsal.checking import check
from pipeline.vertex.rehearsal.commands import Command, Commands
from pipeline.vertex.rehearsal.errors import RefusedError
from pipeline.vertex.rehearsal.executing import Site
from pipeline.vertex.rehearsal.job import Json, PipelineJob
from pipeline.vertex.rehearsal.only_checked import only_checked
from pipeline.vertex.rehearsal.reading import read_job
from pipeline.vertex.rehearsal.store import Store
from pipeline.vertex.service import ENDPOINT_VARIABLE as ENDPOINT
from pipeline.vertex.service import REHEARSAL_VARIABLE

STORE_FILE = "vertex_metadata.json"
# Nobody knows them offline.
PROJECT_NUMBER, LOCATION = "123456789012", "us-central1"
# Where nobody answers: no task of a rehearsal rents a machine by mistake.
_NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Staged:
    """A job that can be walked here.

    Attributes:
      job: with this machine's paths.
      told: a sentence for each thing that is done otherwise than there.
      only_checked: {what: as the job has it} of what cannot be rehearsed.
    """

    job: PipelineJob
    told: tuple[str, ...]
    only_checked: Mapping[str, str]


def stage(raw: Json, root: Path, site_packages: str | None) -> Staged:
    """Check a job and get it ready.

    Args:
      raw: a PipelineJob in its REST form.
      root: of the rehearsals.
      site_packages: where the image has its packages; None: nothing is redirected there.

    Raises:
      RefusedError: the service, or Dataflow, would not take it.
    """
    check(read_job(raw), raw)
    _check_dataflow(raw, root)
    bucket = bucket_of(raw["runtimeConfig"]["gcsOutputDirectory"])
    here, told = adapted(Redirection(bucket, root, site_packages)(raw))
    if others := sorted(buckets_in(here["pipelineSpec"]) - {bucket}):
        told.append(f"{', '.join(others)}: not redirected; tasks read there, with your own credentials.")
    return Staged(read_job(here), tuple(told), only_checked(raw))


def _check_dataflow(raw: Json, root: Path) -> None:
    commands = Commands(root / STAGES_LOCK_FILE)  # an interpreter of its own: Beam is not loaded here
    asked = {tuple(beam_args_in(container.get("args", []))) for _, container in containers_in(raw)}
    mistakes: list[str] = []
    for number, args in enumerate(sorted(args for args in asked if on_dataflow(args))):
        log = root / "scratch" / f"beam_options_{number}.txt"
        argv = ("python", "-m", "pipeline.vertex.rehearsal.beam_options", *args)
        log.unlink(missing_ok=True)
        commands.run(Command("beam_options", argv, log, root / "scratch"))
        mistakes += json.loads(log.read_text("utf-8").splitlines()[-1])
    if mistakes:
        raise RefusedError(list(dict.fromkeys(mistakes)))


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return what Vertex sets for its containers, and what else they are given here."""
    return {"CLOUD_ML_PROJECT_ID": PROJECT_NUMBER, ENDPOINT: _NOWHERE, REHEARSAL_VARIABLE: "1", **extra}


def site(staged: Staged, root: Path, logs: Path, commands: Commands, started: datetime) -> Site:
    """Return where the tasks of a job are executed."""
    job_id = f"{staged.job.pipeline}-{started:%Y%m%d%H%M%S}"
    store = Store(root / STORE_FILE, f"projects/{PROJECT_NUMBER}/locations/{LOCATION}")
    return Site(f"{staged.job.folder}/{PROJECT_NUMBER}/{job_id}", logs, root / "scratch", store, commands)


def resource(site: Site) -> str:
    """Return the name of the PipelineJob that a site is of."""
    return f"projects/{PROJECT_NUMBER}/locations/{LOCATION}/pipelineJobs/{site.folder.rpartition('/')[2]}"
