"""The Model Registry: a pushed SavedModel becomes a version, once; versions get labels and aliases."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.registering import Pushed, Registry, same_version, upload_request, withdrawal_of
from pipeline.vertex.served import Version
from pipeline.vertex.serving_api import ServingApi, until_undisturbed

_LOGGER = logging.getLogger(__name__)
_MAX_DESCRIPTION = 1000


@dataclass(frozen=True)
class Registered:
    """What became of a pushed model.

    Attributes:
      name: resource name of the parent model, "" if the model was not registered.
      version: "" likewise.
      why: in words.
    """

    name: str
    version: str
    why: str


def register(api: ServingApi, registry: Registry, pushed: Pushed) -> Registered:
    """Upload a pushed model as a new version, unless a version holds it already or its weights were withdrawn.

    A second attempt finds what the first one uploaded, and gives it the aliases that it may lack.

    Raises:
      google.api_core.exceptions.GoogleAPICallError: the service refuses.
    """
    found = list_versions(api, registry.name)
    if withdrawn := withdrawal_of(found or (), pushed):
        why = (
            f"version {withdrawn.version_id} has the same weights, and a rollback withdrew it: {withdrawn.version_description}"
        )
        return Registered("", "", why)
    if same := same_version(found or (), pushed):
        version = as_version(same, registry.name)
        if missing := [alias for alias in registry.aliases if alias not in version.aliases]:
            move_aliases(api, registry.name, version, missing)
        return Registered(registry.name, version.id, f"version {version.id} holds the same files already")
    answer = api.finish(until_undisturbed(lambda: _upload(api, registry, pushed)))
    if answer is None:
        return Registered("", "", "a dry run")
    version = next(each for each in versions_of(api, registry.name) if each.id == answer.model_version_id)
    move_aliases(api, registry.name, version, registry.aliases)
    return Registered(registry.name, version.id, "uploaded")


def _upload(api: ServingApi, registry: Registry, pushed: Pushed) -> Any:
    """Send the request; asked anew for each try, because another run may have made the parent meanwhile."""
    has_parent = list_versions(api, registry.name) is not None
    return api.change("Model", "upload_model", upload_request(registry, pushed, has_parent))


def list_versions(api: ServingApi, model: str) -> list[Any] | None:
    """Return the versions of a model as the API gives them, oldest first; None if there is no such model."""
    from google.api_core import exceptions

    try:
        found = list(api.read("Model", "list_model_versions", {"name": model}))
    except exceptions.NotFound:
        return None
    return sorted(found, key=lambda version: int(version.version_id))


def as_version(model: Any, name: str) -> Version:
    """Return a version as a plain value.

    Args:
      model: as the API gives it.
      name: resource name of the parent.
    """
    return Version(
        id=model.version_id,
        name=f"{name}@{model.version_id}",
        aliases=tuple(sorted(model.version_aliases)),
        labels=dict(model.labels),
        description=model.version_description,
        uri=model.artifact_uri,
    )


def versions_of(api: ServingApi, model: str) -> tuple[Version, ...]:
    """Return the versions of a model, oldest first; none if there is no such model."""
    return tuple(as_version(each, model) for each in list_versions(api, model) or ())


def move_aliases(api: ServingApi, model: str, version: Version, aliases: Sequence[str]) -> None:
    """Have a version carry aliases, and no other version carry them.

    The service takes an alias from the version that had it; should it not, this does. So there is no time without one.
    """
    missing = [alias for alias in aliases if alias not in version.aliases]
    if missing:
        _merge(api, version, missing)
    if api.is_dry:
        return
    for other in versions_of(api, model):
        if other.id != version.id and (left := [alias for alias in aliases if alias in other.aliases]):
            _merge(api, other, [f"-{alias}" for alias in left])


def drop_aliases(api: ServingApi, version: Version, aliases: Iterable[str]) -> None:
    """Take aliases from a version, as far as it has them."""
    if left := [f"-{alias}" for alias in aliases if alias in version.aliases]:
        _merge(api, version, left)


def _merge(api: ServingApi, version: Version, aliases: Sequence[str]) -> None:
    api.change("Model", "merge_version_aliases", {"name": version.name, "versionAliases": list(aliases)})


def label(api: ServingApi, version: Version, labels: Mapping[str, str], note: str = "") -> None:
    """Add labels to a version and, if there is one, a note at the beginning of its description."""
    # The API requires a display name whatever the mask says; this is the one that it was uploaded with.
    display_name = version.name.rpartition("/")[2].partition("@")[0]
    model: dict[str, Any] = {
        "name": version.name,
        "displayName": display_name,
        "labels": dict(version.labels) | dict(labels),
    }
    fields = ["labels"]
    if note and not version.description.startswith(note):
        model["versionDescription"] = f"{note} {version.description}".strip()[:_MAX_DESCRIPTION]
        fields.append("versionDescription")
    api.change("Model", "update_model", {"model": model, "updateMask": ",".join(fields)})


def version_in(resource: str, model: str) -> str:
    """Return the version in a resource name such as projects/P/locations/R/models/taxi@3; "" if it is of another model."""
    found = re.search(r"/models/([^/@]+)(?:@(\d+))?$", resource)
    return (found[2] or "") if found and found[1] == model else ""
