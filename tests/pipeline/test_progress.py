"""What a stage announces reaches whoever listens, and the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from pipeline.progress import announce, listen


@pytest.fixture
def shown() -> Iterator[list[str]]:
    lines: list[str] = []
    stop = listen(lines.append)
    yield lines
    stop()


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_whoever_listens_is_shown_what_is_announced_whatever_the_level_of_the_log(caplog, shown: list[str], level: int):
    with caplog.at_level(level):
        announce("smallest: distill, epoch 3/25")
    assert shown == ["smallest: distill, epoch 3/25"]


def test_announcements_are_in_the_log(caplog):
    with caplog.at_level(logging.INFO):
        announce("latency of all variants")
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("pipeline.progress", "INFO", "latency of all variants")
    ]


def test_text_is_shown_as_it_is(caplog, shown: list[str]):
    with caplog.at_level(logging.INFO):
        announce("100 % of {rows} are %s")
    assert shown == ["100 % of {rows} are %s"]


def test_other_loggers_are_not_listened_to(caplog, shown: list[str]):
    with caplog.at_level(logging.INFO):
        logging.getLogger("tensorflow").info("chatter")
        logging.getLogger("pipeline").warning("a warning")
    assert shown == []


def test_nothing_is_shown_after_listening_has_ended_and_others_go_on(caplog, shown: list[str]):
    late: list[str] = []
    with caplog.at_level(logging.INFO):
        stop = listen(late.append)
        announce("one")
        stop()
        announce("two")
    assert (shown, late) == (["one", "two"], ["one"])
