"""--from, --to, --only and --fresh: which stages run anew, which are reused, which are skipped."""

from __future__ import annotations

import pytest

from pipeline.errors import ConfigError
from pipeline.local.selection import Selection, select

NEEDS: dict[str, set[str]] = {
    "Read": set(),
    "Check": {"Read"},
    "Transform": {"Read", "Check"},
    "Trainer": {"Transform"},
    "Evaluator": {"Read", "Trainer"},
    "Compressor": {"Trainer", "Transform"},
    "Pusher": {"Evaluator", "Compressor"},
}


def chosen(anew: str = "", only_reused: str = "", skipped: str = "") -> Selection:
    return Selection(*(frozenset(names.split()) for names in (anew, only_reused, skipped)))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, chosen()),
        ({"fresh": True}, chosen(anew=" ".join(NEEDS))),
        ({"first": "Trainer"}, chosen("Trainer Evaluator Compressor Pusher", "Read Check Transform")),
        # What is beside it, neither before nor after, runs where it has to.
        ({"first": "Evaluator"}, chosen("Evaluator Pusher", "Read Check Transform Trainer")),
        ({"last": "Transform"}, chosen(skipped="Trainer Evaluator Compressor Pusher")),
        ({"last": "Evaluator"}, chosen(skipped="Compressor Pusher")),
        (
            {"first": "Transform", "last": "Trainer"},
            chosen("Transform Trainer", "Read Check", "Evaluator Compressor Pusher"),
        ),
        ({"first": "Trainer", "last": "Trainer"}, chosen("Trainer", "Read Check Transform", "Evaluator Compressor Pusher")),
        ({"last": "Check", "fresh": True}, chosen("Read Check", "", "Transform Trainer Evaluator Compressor Pusher")),
    ],
)
def test_selection(options: dict, expected: Selection) -> None:
    assert select(NEEDS, **{"first": None, "last": None} | options) == expected


def test_unknown_stage_is_named_with_the_nearest_and_all_others() -> None:
    with pytest.raises(ConfigError) as caught:
        select(NEEDS, "Trainr", None)
    assert str(caught.value) == (
        "--from: no stage is called 'Trainr'. Did you mean 'Trainer'? "
        "The stages: Read, Check, Transform, Trainer, Evaluator, Compressor, Pusher."
    )
    with pytest.raises(ConfigError, match=r"^--to: no stage is called 'x'. The stages: Read"):
        select(NEEDS, None, "x")


def test_nothing_lies_between_stages_that_do_not_need_each_other() -> None:
    with pytest.raises(ConfigError) as caught:
        select(NEEDS, "Compressor", "Evaluator")
    assert str(caught.value) == (
        "--from Compressor --to Evaluator: Evaluator does not need Compressor, so there is nothing between them."
    )
