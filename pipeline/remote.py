"""Which paths are URLs."""

from __future__ import annotations


def is_remote(path: str) -> bool:
    """Tell whether a path is a URL such as gs://bucket/folder."""
    return "://" in path
