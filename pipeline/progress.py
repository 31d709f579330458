"""What a stage says while it works. Everywhere it is in the log; on a laptop the runner shows it as well."""

from __future__ import annotations

import logging
from collections.abc import Callable

_LOGGER = logging.getLogger(__name__)


def announce(text: str) -> None:
    """Say what is being done now, such as "smallest: distill, epoch 3/25"."""
    _LOGGER.info(text)


def listen(show: Callable[[str], None]) -> Callable[[], None]:
    """Call `show` with everything announced in this process, until the returned function is called."""
    handler, level = _Handler(show), _LOGGER.level
    _LOGGER.setLevel(logging.INFO)  # whatever the log itself keeps
    _LOGGER.addHandler(handler)

    def stop() -> None:
        _LOGGER.removeHandler(handler)
        _LOGGER.setLevel(level)

    return stop


class _Handler(logging.Handler):
    def __init__(self, show: Callable[[str], None]):
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        self._show(record.getMessage())
