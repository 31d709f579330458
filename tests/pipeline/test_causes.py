"""What a user reads of an error."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest

from pipeline.errors import DataError
from pipeline.local.causes import FREE_SPACE, cause_of


def over(handled: Exception, error: Exception, is_cause: bool = False) -> Exception:
    """Return an error as it is after it was raised while another was handled; `from` that one if it is the cause."""
    error.__context__ = handled
    if is_cause:
        error.__cause__ = handled  # which sets __suppress_context__
    return error


def test_innermost_cause_is_told_with_its_type() -> None:
    error = over(KeyError("fare"), RuntimeError("map failed [while running 'Map']"), is_cause=True)
    assert cause_of(error) == "KeyError: 'fare'"
    assert cause_of(RuntimeError("map failed [while running 'Map']")) == "RuntimeError: map failed"


@pytest.mark.parametrize("is_cause", [True, False])
def test_sentence_of_the_project_is_told_whatever_came_of_it(is_cause: bool) -> None:
    error = over(DataError("Column 'fare' is empty."), RuntimeError("database or disk is full query: UPDATE"), is_cause)
    assert cause_of(error) == "Column 'fare' is empty."


def test_error_that_was_only_being_handled_is_no_cause() -> None:
    assert cause_of(over(KeyError("fare"), RuntimeError("no such file"))) == "RuntimeError: no such file"


def test_error_that_was_set_aside_is_not_told() -> None:
    error = over(DataError("Column 'fare' is empty."), RuntimeError("no such file"))
    error.__suppress_context__ = True  # raise ... from None
    assert cause_of(error) == "RuntimeError: no such file"


def test_full_disk_is_told_with_its_cure() -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/shard")
    assert cause_of(error) == f"The disk is full: [Errno 28] No space left on device: '/data/shard'. {FREE_SPACE}"


def test_database_without_room_is_told_without_its_query() -> None:
    error = sqlite3.OperationalError("Error when executing query: database or disk is full query:  UPDATE `Execution` ...")
    assert cause_of(error) == f"The disk is full: there is no room for what metadata.db is to hold. {FREE_SPACE}"
