"""Checks of a version that serves: it answers what the pushed model answers, in time. Each leaves its bound and its value.

An endpoint cannot be asked for one of its models: it answers by the split of its traffic, and says which model did. So it is
asked until the canary has answered often enough.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pipeline.vertex.serving_api import plain
from pipeline.vertex.traffic import ALL

SCORES, PREDICTIONS = "scores", "predictions"
# How much longer than on average one asks before the canary is said not to answer: 1 in 10,000 would be asked in vain.
_PATIENCE, _MORE_REQUESTS = 4, 20


@dataclass(frozen=True)
class Bounds:
    """What a canary has to hold.

    Attributes:
      answers: so many of its own are looked at.
      latency_ms: median of an answer, with the way through the network.
      tolerance: largest difference of a score from the pushed model's own, as a part of it where that is above 1.
    """

    answers: int = 5
    latency_ms: float = 1000.0
    tolerance: float = 1e-3


class Check(NamedTuple):
    """One line of the report."""

    name: str
    bound: str
    value: str
    passed: bool


class Answer(NamedTuple):
    """Of one request: predictions, one an instance, and how long it took."""

    predictions: list[Any]
    seconds: float


class Probed(NamedTuple):
    """All answers of one model, and what else was learnt."""

    answers: list[Answer]
    requests: int
    errors: list[str]


def probe(ask: Callable[[], Any], deployed_id: str, percent: int, wanted: int) -> Probed:
    """Ask until a deployed model has answered.

    Args:
      ask: sends one request; returns a PredictResponse.
      deployed_id: of the model.
      percent: of the traffic that it has.
      wanted: number of its answers.
    """
    from google.api_core import exceptions

    answers: list[Answer] = []
    errors: list[str] = []
    most = math.ceil(_PATIENCE * wanted * ALL / percent) + _MORE_REQUESTS
    for number in range(1, most + 1):
        began = time.perf_counter()
        try:
            response = ask()
        except exceptions.GoogleAPICallError as error:
            errors.append(plain(error))
            if len(errors) >= wanted:
                return Probed(answers, number, errors)
            continue
        if response.deployed_model_id == deployed_id:
            answers.append(Answer([_plain(each) for each in response.predictions], time.perf_counter() - began))
            if len(answers) >= wanted:
                return Probed(answers, number, errors)
    return Probed(answers, most, errors)


def judge(probed: Probed, num_rows: int, classes: int, expected: np.ndarray | None, bounds: Bounds) -> list[Check]:
    """Hold what was learnt to the bounds.

    Args:
      probed: the canary's answers.
      num_rows: instances of a request.
      classes: scores of an instance; 0: one prediction.
      expected: (rows, classes) or (rows, 1), the scores of the pushed model itself; None: unknown.
      bounds: to hold.
    """
    found = len(probed.answers)
    first_error = f": {probed.errors[0][:200]}" if probed.errors else ""
    checks = [
        Check(
            "requests without an error",
            "0 errors",
            f"{len(probed.errors)} of {probed.requests}{first_error}",
            not probed.errors,
        ),
        Check(
            "answers of the canary", f">= {bounds.answers}", f"{found} of {probed.requests} requests", found >= bounds.answers
        ),
    ]
    if not found:
        return checks
    tables = [scores_of(answer.predictions) for answer in probed.answers]
    shape = (num_rows, classes or 1)
    wrong = [table for table in tables if table is None or table.shape != shape]
    seen = "no table of numbers" if wrong and wrong[0] is None else str((wrong or tables)[0].shape)  # type: ignore[union-attr]
    checks.append(Check("shape of the scores", str(shape), seen, not wrong))
    latency_ms = 1000 * statistics.median(answer.seconds for answer in probed.answers)
    checks.append(
        Check("median latency", f"<= {bounds.latency_ms:g} ms", f"{latency_ms:.0f} ms", latency_ms <= bounds.latency_ms)
    )
    if wrong:
        return checks
    scores = np.stack([table for table in tables if table is not None])
    num_bad = int(np.count_nonzero(~np.isfinite(scores)))
    checks.append(Check("scores that are no finite numbers", "0", str(num_bad), num_bad == 0))
    if expected is not None and not num_bad:
        off = float(np.max(np.abs(scores - expected) / np.maximum(1.0, np.abs(expected))))
        checks.append(
            Check("difference from the pushed model", f"<= {bounds.tolerance:g}", f"{off:.2g}", off <= bounds.tolerance)
        )
    return checks


def scores_of(predictions: Sequence[Any]) -> np.ndarray | None:
    """Return float64 (rows, classes) or (rows, 1), None if the answer is not such a table.

    A signature with one output is answered by its values, one with several by {name: value}; null is taken for NaN.
    """
    rows = [each.get(SCORES, each.get(PREDICTIONS)) if isinstance(each, dict) else each for each in predictions]
    try:
        table = np.array([np.atleast_1d(np.array(row, np.float64)) for row in rows], np.float64)
    except (TypeError, ValueError):
        return None
    return table if table.ndim == 2 else None


def _plain(value: Any) -> Any:
    """Return a prediction as JSON has it; the client gives lists and maps of protocol buffers."""
    if hasattr(value, "items"):
        return {key: _plain(each) for key, each in value.items()}
    if hasattr(value, "__iter__") and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
