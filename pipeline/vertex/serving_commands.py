"""What `runner_vertex.py deploy | promote | rollback | batch-predict | endpoint` do; each returns an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import lean_imports
from pipeline.errors import ConfigError, PipelineError
from pipeline.exit_codes import INTERRUPTED, NOT_BLESSED, OK
from pipeline.local.telling import exit_code

if TYPE_CHECKING:
    import numpy as np

    from pipeline.vertex.batch import BatchOptions
    from pipeline.vertex.canary import Bounds, Check
    from pipeline.vertex.deploying import Place
    from pipeline.vertex.served import Version

Say = Callable[[str], None]


@dataclass(frozen=True)
class CheckOptions:
    """How a version is checked before it is promoted.

    Attributes:
      rows: JSON lines of raw rows; None: rows of zeros and empty texts.
      model: folder of the same version; None: the version's own, in the bucket.
      bounds: to hold; None: nothing is checked.
    """

    rows: Path | None
    model: str | None
    bounds: Bounds | None


def deploy(runtime: Path, version: str | None, percent: int | None, wait: bool, dry_run: bool) -> int:
    """Deploy a version as a canary."""
    from pipeline.vertex import deploying

    def work(place: Place) -> int:
        deploying.deploy(place, version, percent, wait and not dry_run)
        return OK

    return _at(runtime, dry_run, work)


def promote(runtime: Path, version: str | None, options: CheckOptions, dry_run: bool) -> int:
    """Check the canary, and make it the champion."""
    from pipeline.vertex import deploying

    def work(place: Place) -> int:
        canary = place.look().canary(version)
        if options.bounds and not dry_run:
            checks = _check(place, canary, options, options.bounds)
            for check in checks:
                place.say(f"{'passed' if check.passed else 'FAILED'}  {check.name}: {check.value} ({check.bound})")
            if not all(check.passed for check in checks):
                place.say(f"Version {canary.id} is not promoted; the traffic is as it was. Take it back: rollback")
                return NOT_BLESSED
        deploying.promote(place, canary)
        return OK

    return _at(runtime, dry_run, work)


def rollback(runtime: Path, version: str | None, reason: str, dry_run: bool) -> int:
    """Go back to the version before."""
    from pipeline.vertex import deploying

    def work(place: Place) -> int:
        deploying.roll_back(place, version, reason)
        return OK

    return _at(runtime, dry_run, work)


def batch_predict(runtime: Path, options: BatchOptions, wait: bool, dry_run: bool) -> int:
    """Score files with a registered version."""
    from pipeline.vertex import batch
    from pipeline.vertex.launching import console_link

    def work(place: Place) -> int:
        job = batch.start(place.api, place.runtime, options)
        if job is not None:
            place.say(f"{job.name}: {console_link(job.name)}")
            if wait:
                place.say(f"Scored: {batch.wait(place.api, job).output_info.gcs_output_directory}")
        return OK

    return _at(runtime, dry_run, work)


def endpoint(runtime: Path) -> int:
    """Say what serves."""
    from pipeline.vertex import deploying

    def work(place: Place) -> int:
        deploying.show(place)
        return OK

    return _at(runtime, False, work)


def _check(place: Place, canary: Version, options: CheckOptions, bounds: Bounds) -> list[Check]:
    """Ask the canary, and hold its answers to those of the pushed model."""
    from pipeline.predicting.pushed import find_model
    from pipeline.vertex import endpoints, examples
    from pipeline.vertex.canary import judge, probe

    lean_imports.install()
    model = find_model(options.model or canary.uri)
    rows = examples.read_rows(options.rows) if options.rows else examples.neutral_rows(model)
    columns = examples.columns_of(rows, model)
    served = place.look()
    deployed = served.deployed_of(canary)
    if not deployed or not deployed.traffic:
        raise ConfigError(
            f"Version {canary.id} has no traffic, and an endpoint answers by its traffic alone: it cannot be checked. "
            f"First: deploy --version {canary.id}"
        )
    instances = examples.instances_of(columns)
    expected = _expected(model, columns)
    probed = probe(
        lambda: endpoints.predict(place.api, served.endpoint, instances), deployed.id, deployed.traffic, bounds.answers
    )
    return judge(probed, len(rows), len(model.classes), expected, bounds)


def _expected(model: Any, columns: Any) -> np.ndarray:
    from pipeline.predicting.scoring import load

    return load(model)(columns)[0]


def _at(runtime_file: Path, dry_run: bool, work: Callable[[Place], int]) -> int:
    """Do something where a runtime file says; tell in one line what went wrong."""
    lean_imports.orchestrating()
    from google.api_core import exceptions
    from google.auth import exceptions as auth
    from requests import RequestException

    from pipeline.vertex.deploying import Place
    from pipeline.vertex.runtime import load_runtime
    from pipeline.vertex.serving_api import ServingApi, explain

    say: Say = lambda text: print(text, flush=True)  # noqa: E731

    def act() -> int:
        runtime = load_runtime(runtime_file)
        api = ServingApi(runtime.location, _show if dry_run else None)
        try:
            return work(Place(api, runtime, (lambda _: None) if dry_run else say))
        except exceptions.GoogleAPICallError as error:
            raise PipelineError(explain(error, runtime.location, runtime.service_account)) from error
        except auth.GoogleAuthError as error:
            text = f"There are no usable Google credentials: {error} Run `gcloud auth application-default login`."
            raise PipelineError(text) from error
        except RequestException as error:
            raise PipelineError(f"Vertex AI cannot be reached: {error}. Check the network and HTTPS_PROXY.") from error

    try:
        return exit_code(act)
    except KeyboardInterrupt:
        text = "Interrupted. What was asked for goes on there: see `endpoint`. The same command finishes the rest."
        print(text, file=sys.stderr, flush=True)
        return INTERRUPTED


def _show(method: str, request: dict[str, Any]) -> None:
    print(json.dumps({"method": method, "request": request}, indent=1), flush=True)
