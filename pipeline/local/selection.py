"""Which stages a run is about: --from, --to, --only and --fresh."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import ConfigError


@dataclass(frozen=True)
class Selection:
    """What is to become of the stages that are not simply run, or reused where nothing has changed.

    Attributes:
      anew: run even if nothing has changed.
      only_reused: not run: the user said so, and a run in which one would have to run fails.
      skipped: neither run nor reused.
    """

    anew: frozenset[str] = frozenset()
    only_reused: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()


def select(needs: Mapping[str, set[str]], first: str | None, last: str | None, fresh: bool = False) -> Selection:
    """Work out a selection.

    Args:
      needs: {stage: the stages it waits for}, all of a pipeline.
      first: this stage and what follows from it runs anew; what it needs is reused.
      last: this stage and what it needs, nothing else; with `first` the same: only it.
      fresh: everything that is not skipped or only reused runs anew.

    Raises:
      ConfigError: there is no such stage, or the first is not among what the last needs.
    """
    for option, stage_id in (("--from", first), ("--to", last)):
        if stage_id is not None and stage_id not in needs:
            near = difflib.get_close_matches(stage_id, needs, n=1, cutoff=0.5)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise ConfigError(f"{option}: no stage is called '{stage_id}'.{hint} The stages: {', '.join(needs)}.")
    selected = {last, *_upstream(needs, last)} if last else set(needs)
    if first and first not in selected:
        raise ConfigError(f"--from {first} --to {last}: {last} does not need {first}, so there is nothing between them.")
    before = _upstream(needs, first) if first else set()
    anew = _downstream(needs, first) | {first} if first else set(needs) if fresh else set()
    return Selection(frozenset(anew & selected), frozenset(before), frozenset(set(needs) - selected))


def _upstream(needs: Mapping[str, set[str]], stage_id: str) -> set[str]:
    found: set[str] = set()
    pending = [stage_id]
    while pending:
        new = needs[pending.pop()] - found
        found |= new
        pending += new
    return found


def _downstream(needs: Mapping[str, set[str]], stage_id: str) -> set[str]:
    return {other for other in needs if stage_id in _upstream(needs, other)}
