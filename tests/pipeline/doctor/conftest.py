"""A small Google on this machine in which all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fake_google import FakeGoogle


@pytest.fixture
def google(google: FakeGoogle) -> FakeGoogle:
    """One where all is well."""
    from cloud_set_up import all_is_well

    google.answers = all_is_well()
    return google
