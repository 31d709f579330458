"""Where the Vertex AI API answers, and with which credentials one asks it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

# Another address of the API: a rehearsal's stand-in, a test's, or a private endpoint.
ENDPOINT_VARIABLE = "AIPLATFORM_ENDPOINT"
# Set by a rehearsal for its tasks: nobody is told of one.
REHEARSAL_VARIABLE = "PIPELINE_REHEARSAL"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


def endpoint(region: str) -> str:
    """Return the address of the API in a region, such as "europe-west4-aiplatform.googleapis.com"."""
    return os.environ.get(ENDPOINT_VARIABLE) or f"{region}-aiplatform.googleapis.com"


def credentials(address: str) -> Credentials:
    """Return Application Default Credentials; none are shown to an address that speaks plain HTTP.

    Args:
      address: of an API, such as `endpoint` returns.

    Raises:
      google.auth.exceptions.DefaultCredentialsError: there are none.
    """
    import google.auth
    from google.auth.credentials import AnonymousCredentials

    if address.startswith("http://"):
        return AnonymousCredentials()
    found, _ = google.auth.default(scopes=_SCOPES)
    return found


def client(client_class: Any, region: str) -> Any:
    """Return a client of google.cloud.aiplatform_v1 that speaks REST."""
    address = endpoint(region)
    return client_class(credentials=credentials(address), transport="rest", client_options={"api_endpoint": address})
