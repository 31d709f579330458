"""A small Google on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fake_google import FakeGoogle


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGoogle]:
    """One where all is well, and credentials for it."""
    from cloud_set_up import NOWHERE, all_is_well
    from fake_google import fake_google

    with fake_google() as google:
        google.answers = all_is_well()
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google.credentials_file(tmp_path)))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        # google-auth asks Google, on a thread of its own, where the account may work: that must not leave this machine.
        monkeypatch.setenv("HTTPS_PROXY", NOWHERE)
        yield google
