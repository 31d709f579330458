"""Puts a compiled job where continuous training takes it from: publish_job.py JOB. Prints the object and its generation.

The object is PIPELINE/promoted/job.json in the bucket that the job works in. The bucket keeps earlier versions.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from urllib.parse import quote

import google.auth
import requests
from google.auth import exceptions
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession

_SCOPES = ["https://www.googleapis.com/auth/devstorage.read_write"]


def main(path: str) -> str:
    """Publish a job; return one sentence about it.

    Raises:
      SystemExit: it could not be published.
    """
    content = Path(path).read_bytes()
    try:
        job = json.loads(content)
        bucket = job["runtimeConfig"]["gcsOutputDirectory"].removeprefix("gs://").split("/")[0]
        name = f"{job['labels']['pipeline']}/promoted/job.json"
    except (ValueError, KeyError, TypeError) as error:
        raise SystemExit(f"{path} is no compiled job ({error!r}). Write one: make compile.") from None
    storage = os.environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com"
    try:
        credentials = AnonymousCredentials() if storage.startswith("http://") else google.auth.default(_SCOPES)[0]
        answer = AuthorizedSession(credentials).post(
            f"{storage}/upload/storage/v1/b/{quote(bucket, safe='')}/o",
            params={"uploadType": "media", "name": name},
            headers={"Content-Type": "application/json"},
            data=content,
            timeout=60,
        )
    except exceptions.DefaultCredentialsError as error:
        raise SystemExit(f"There are no Google credentials ({error}). Log in: gcloud auth application-default login") from None
    except (requests.RequestException, exceptions.GoogleAuthError) as error:
        raise SystemExit(f"gs://{bucket}/{name} cannot be written: {error}. Run the same command again.") from None
    if answer.status_code == 403:
        raise SystemExit(f"gs://{bucket}/{name} may not be written: grant what deploy/terraform grants the submitter.")
    if not answer.ok:
        raise SystemExit(f"gs://{bucket}/{name} cannot be written: {answer.status_code} {answer.text[:300]}")
    return f"gs://{bucket}/{name}#{answer.json()['generation']}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: publish_job.py JOB")
    print(main(sys.argv[1]))
