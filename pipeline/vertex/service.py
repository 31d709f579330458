"""Where the Vertex AI API answers, and with which credentials one asks it."""

from __future__ import annotations

import functools
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


@functools.cache
def register_messages() -> None:
    """Have protocol buffers know the classes of the API's messages.

    In the result of an operation there is any message. For one of a type that it knows no class of, protobuf 3 (the C++ one, of
    TFX 1.16) makes a class of its own, which from then on takes the place of the library's: attributes of its messages are
    then others. Later versions do not.
    """
    from google.cloud import aiplatform_v1
    from google.protobuf import symbol_database
    from google.protobuf.internal import api_implementation

    if api_implementation.Type() != "cpp":
        return
    for name in aiplatform_v1.types.__all__:
        if hasattr(message := getattr(aiplatform_v1.types, name), "pb"):
            symbol_database.Default().RegisterMessage(message.pb())


def client(client_class: Any, region: str) -> Any:
    """Return a client of google.cloud.aiplatform_v1 that speaks REST."""
    register_messages()
    address = endpoint(region)
    return client_class(credentials=credentials(address), transport="rest", client_options={"api_endpoint": address})
