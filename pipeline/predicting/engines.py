"""Which engine scores, and why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal, TypeAlias

from pipeline.errors import ConfigError
from pipeline.predicting.planning import STDOUT
from pipeline.remote import is_remote

Engine: TypeAlias = Literal["direct", "beam"]
# What one machine scores in a minute or so is not worth a hint.
LARGE_BYTES = 5 << 30


def choose(wanted: str, beam_args: Sequence[str], files: Sequence[str], output: str) -> tuple[Engine, str]:
    """Return the engine and the reason for it.

    On one machine Beam never was the faster one (docs/predict.md has the numbers), and it keeps no order. So `auto` takes it
    when a runner is named, which may have other machines, not for what it would do to a large file here.

    Args:
      wanted: "auto", "direct" or "beam".
      beam_args: for Beam, --runner included.
      files: to be read.
      output: a path, or - for stdout.

    Raises:
      ConfigError: Beam is asked to write to stdout, or arguments for Beam are given to the other engine.
    """
    if wanted == "direct" and beam_args:
        raise ConfigError(
            f"--engine direct takes no arguments for Beam, received {' '.join(beam_args)}. Leave out one of the two."
        )
    if wanted == "direct" or (wanted == "auto" and not beam_args):
        return "direct", "as asked for" if wanted == "direct" else _why_direct(files)
    if output == STDOUT:
        raise ConfigError("--output -: Beam's workers write shards, not to stdout. Name a file, or use --engine direct.")
    return "beam", "as asked for" if wanted == "beam" else "a runner is named"


def _why_direct(files: Sequence[str]) -> str:
    size_bytes = sum(os.path.getsize(file) for file in files if not is_remote(file))
    if size_bytes < LARGE_BYTES:
        return "fastest on one machine"
    return f"fastest on one machine; a runner with more of them shares {size_bytes:,} bytes out: --runner DataflowRunner"
