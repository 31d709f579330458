"""What a version in the Model Registry is: where it comes from, how it is labelled, who serves it. Pure functions of values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic

# Of a version. Values of labels: lower case, digits, "-" and "_", 63 at most.
CONTENT_LABEL, MODEL_LABEL = "content", "weights"
WITHDRAWN_LABEL, PROMOTED_LABEL = "withdrawn", "promoted"
DEFAULT_ALIAS = "default"
_LABEL_LENGTH = 63
_DIGEST_LENGTH = 32
_MAX_DESCRIPTION = 1000


class Registry(pydantic.BaseModel):
    """The Model Registry as a runtime names it.

    Attributes:
      location: projects/P/locations/R.
      model: id of the parent model.
      aliases: of the newest version.
      image: that serves.
      service_account: that reads the bucket; None: Vertex AI's own agent.
      encryption_key: CMEK.
      labels: of all that is rented.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    location: str
    model: str
    aliases: tuple[str, ...]
    image: str
    service_account: str | None = None
    encryption_key: str | None = None
    labels: dict[str, str] = {}

    @property
    def name(self) -> str:
        """Resource name of the parent model."""
        return f"{self.location}/models/{self.model}"


@dataclass(frozen=True)
class Pushed:
    """A pushed SavedModel.

    Attributes:
      uri: its folder, gs://...
      content_digest: of all its files.
      model_digest: of its variables and assets.
      lineage: {label: what it was made by}.
      description: one line for people.
    """

    uri: str
    content_digest: str
    model_digest: str
    lineage: Mapping[str, str]
    description: str

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the version, legal ones."""
        made = {key: label_value(value) for key, value in self.lineage.items() if value}
        digests = {CONTENT_LABEL: self.content_digest[:_DIGEST_LENGTH], MODEL_LABEL: self.model_digest[:_DIGEST_LENGTH]}
        return made | digests


def label_value(text: str) -> str:
    """Return a text as a label can carry it: other characters become "-", what is too long is cut."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-")[:_LABEL_LENGTH].rstrip("-")


def upload_request(registry: Registry, pushed: Pushed, has_parent: bool) -> dict[str, Any]:
    """Return an UploadModelRequest of the API in its REST form.

    Args:
      registry: where to.
      pushed: what.
      has_parent: whether the parent model exists; else this creates it with its first version.
    """
    model: dict[str, Any] = {
        "displayName": registry.model,
        "artifactUri": pushed.uri,
        # Routes and port are the image's own: Google's know theirs, others are told: AIP_PREDICT_ROUTE and so on.
        "containerSpec": {"imageUri": registry.image},
        "labels": dict(registry.labels) | pushed.labels,
        "versionAliases": list(registry.aliases),
        "versionDescription": pushed.description[:_MAX_DESCRIPTION],
    }
    if registry.encryption_key:
        model["encryptionSpec"] = {"kmsKeyName": registry.encryption_key}
    request: dict[str, Any] = {"parent": registry.location, "model": model}
    request |= {"parentModel": registry.name} if has_parent else {"modelId": registry.model}
    return request | ({"serviceAccount": registry.service_account} if registry.service_account else {})


def describe(candidate: Mapping[str, float], run: str) -> str:
    """Return one line on a version: its metrics on the eval split, and the run that made it."""
    metrics = ", ".join(f"{name} {value:.6g}" for name, value in sorted(candidate.items()) if value is not None)
    return f"{metrics or 'no metrics'}; made by {run or 'an unnamed run'}"


def same_version(versions: Iterable[Any], pushed: Pushed) -> Any:
    """Return the version that holds what was pushed, by the folder or by its content; None if there is none.

    Args:
      versions: with `artifact_uri` and `labels`, as the API gives them.
      pushed: what is looked for.
    """
    wanted = pushed.labels[CONTENT_LABEL]
    found = [v for v in versions if v.labels.get(CONTENT_LABEL) == wanted or _holds(v, pushed)]
    return max(found, key=lambda version: int(version.version_id), default=None)


def _holds(version: Any, pushed: Pushed) -> bool:
    """Tell whether a version without a digest is of the same folder; with another digest it is of what that once held."""
    return version.artifact_uri.rstrip("/") == pushed.uri.rstrip("/") and CONTENT_LABEL not in version.labels


def withdrawal_of(versions: Iterable[Any], pushed: Pushed) -> Any:
    """Return the version with the same weights that a rollback has withdrawn; None if there is none."""
    weights = pushed.labels[MODEL_LABEL]
    return next((v for v in versions if v.labels.get(MODEL_LABEL) == weights and WITHDRAWN_LABEL in v.labels), None)
