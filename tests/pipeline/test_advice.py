"""What a user is told to do after a failure."""

from __future__ import annotations

import pytest

from pipeline.local.advice import advice_for


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        (
            "Its process was killed (SIGKILL): most often by the kernel, for want of memory.",
            "Use --jobs 1 or a smaller fit.batch_size; the same command goes on where this run ended.",
        ),
        (
            "The inputs of Trainer could not be resolved; the log says which.",
            "Run with --fresh, which reuses nothing of what earlier runs left.",
        ),
        ("2 anomalies in the split eval.", "Repair the data, or change the schema if the data is right."),
        (
            "DataLossError: corrupted record at 12",
            "A file was damaged while it was read. Run again: it is made anew.",
        ),
        ("Training diverged: the loss became nan. Lower `fit.learning_rate`.", ""),
        ("trips.csv changed while it was read. Run again.", ""),
        ("PermissionError: gs://bucket", "Remove the cause; the same command goes on where this run ended."),
    ],
)
def test_advice_fits_the_cause(cause: str, advice: str):
    assert advice_for(cause) == advice
