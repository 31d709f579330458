"""Runs a stage as a custom job of Vertex AI: `python -m pipeline.vertex.launch --location L --request J -- COMMAND`.

The task of the pipeline that runs this only waits. The job's containers run the command that the task would have run itself, so
that its chief writes the stage's outputs where the pipeline looks for them.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Sequence

from pipeline.vertex.launching import Jobs, Kind, failure, succeeded, with_command


def main(arguments: Sequence[str]) -> int:
    """Run the job; return the exit code."""
    from google.api_core import exceptions

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    parser = argparse.ArgumentParser(prog="python -m pipeline.vertex.launch", allow_abbrev=False)
    parser.add_argument("--location", required=True, help="projects/P/locations/R.")
    parser.add_argument("--request", required=True, help="The CustomJob as JSON, without what its containers run.")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="What they run.")
    asked = parser.parse_args(list(arguments))
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        jobs = Jobs(asked.location)
        with jobs.cancelling():
            command = asked.command[1:] if asked.command[:1] == ["--"] else asked.command
            job = jobs.wait(jobs.start(Kind.CUSTOM, with_command(json.loads(asked.request), command)))
    except exceptions.GoogleAPICallError as error:
        print(f"The custom job cannot be run: {error.message}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the custom job is cancelled.", file=sys.stderr, flush=True)
        return 130
    if not succeeded(job):
        print(failure(job), file=sys.stderr, flush=True)
    return 0 if succeeded(job) else 1


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
