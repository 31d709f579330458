"""A folder in place of the bucket, and this machine's packages in place of the image's."""

from __future__ import annotations

import os
import re
import sysconfig
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError

BUCKET_FOLDER = "bucket"
# Would end a text of JSON that a path is put into.
_UNSAFE = re.compile(r"[\"\\\x00-\x1f]")


class Redirection:
    """Replaces every mention of a bucket, and of the image's packages, in a job."""

    def __init__(self, bucket: str, root: Path, site_packages: str | None):
        """Redirect to a root.

        Args:
          bucket: gs://NAME.
          root: of the rehearsals.
          site_packages: the folder in the image; None: the job is left alone there.

        Raises:
          ConfigError: the root's path cannot be written into JSON as it is.
        """
        if _UNSAFE.search(str(root)):
            raise ConfigError(f"--root {str(root)!r} has a quote, a backslash or a control character. Choose a plain path.")
        self._rules = [(re.compile(re.escape(bucket) + r"(?![\w.-])"), str(root / BUCKET_FOLDER))]
        ours = sysconfig.get_paths()["purelib"]
        if site_packages and os.path.realpath(site_packages) != os.path.realpath(ours):
            self._rules.append((re.compile(re.escape(site_packages.rstrip("/")) + r"(?![\w.-])"), ours))

    def __call__(self, value: Any) -> Any:
        """Return JSON with its texts redirected; names of fields stay."""
        if isinstance(value, str):
            for pattern, replacement in self._rules:
                value = replacement.join(pattern.split(value))
            return value
        if isinstance(value, dict):
            return {key: self(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self(item) for item in value]
        return value


def buckets_in(value: Any) -> set[str]:
    """Return the buckets that JSON mentions, gs://NAME each."""
    if isinstance(value, str):
        return set(re.findall(r"gs://[a-z0-9][a-z0-9._-]*[a-z0-9]", value))
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(buckets_in, items))


def bucket_of(uri: str) -> str:
    """Return gs://NAME of gs://NAME/folder."""
    return "/".join(uri.split("/")[:3])
