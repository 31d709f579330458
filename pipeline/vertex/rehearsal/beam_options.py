"""Checks Beam's arguments with Beam's own option classes: `python -m pipeline.vertex.rehearsal.beam_options ARG ...`.

Prints a JSON list of the mistakes, last. Beam's own validator is not asked: it waits minutes for a bucket that is out of reach.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import sys
from collections.abc import Sequence

from pipeline import lean_imports

# Instead of Dataflow: as the local runner has Beam; see pipeline.local.runtime.
DIRECT_ARGS = ("--runner=DirectRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1")
_SERVICE = "DataflowRunner"
_NEEDED = ("project", "region", "temp_location")


def on_dataflow(arguments: Sequence[str]) -> bool:
    """Tell whether a command's Beam would run on Dataflow."""
    return f"--runner={_SERVICE}" in arguments


def mistakes_in(arguments: Sequence[str]) -> list[str]:
    """Return what Beam, or Dataflow, would not take of its arguments."""
    lean_imports.install()
    lean_imports.read_beam_classes()
    from apache_beam.options import pipeline_options

    parser = argparse.ArgumentParser(prog="Beam", allow_abbrev=False)
    for options in pipeline_options.PipelineOptions.__subclasses__():
        with contextlib.suppress(argparse.ArgumentError):  # two that name the same
            options._add_argparse_args(parser)  # there is no public way
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            known, unknown = parser.parse_known_args(list(arguments))
    except SystemExit:
        return [told.getvalue().strip().splitlines()[-1].removeprefix("Beam: error: ")]
    mistakes = [f"Beam knows no option {option}." for option in unknown]
    if on_dataflow(arguments):
        mistakes += [f"Dataflow needs --{name}." for name in _NEEDED if not getattr(known, name)]
        if known.temp_location and not re.match("gs://[^/]+/.", known.temp_location):
            mistakes.append(f"--temp_location is {known.temp_location}; expected gs://BUCKET/FOLDER.")
    return mistakes


if __name__ == "__main__":
    print(json.dumps(mistakes_in(sys.argv[1:])))
