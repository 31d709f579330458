"""An endpoint: found by its display name or made, read, and changed without treading on somebody else's change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError
from pipeline.vertex.registry import version_in, versions_of
from pipeline.vertex.served import Deployed, Served, Version
from pipeline.vertex.serving_api import ServingApi

if TYPE_CHECKING:
    from pipeline.registering import Registry
    from pipeline.vertex.runtime import VertexRuntime
    from pipeline.vertex.serving import Endpoint, Serving


def serving_of(runtime: VertexRuntime) -> tuple[Serving, Registry]:
    """Return what a runtime file says of serving.

    Raises:
      ConfigError: it says nothing.
    """
    if not (runtime.serving and runtime.registry):
        raise ConfigError(
            "The runtime file has no `serving:`. Name the model there: serving: {model: taxi, endpoint: {name: taxi}}."
        )
    return runtime.serving, runtime.registry


def endpoint_of(serving: Serving) -> Endpoint:
    """Return the section of the endpoint.

    Raises:
      ConfigError: there is none.
    """
    if not serving.endpoint:
        raise ConfigError("The runtime file has no `serving.endpoint`. Name it there: endpoint: {name: taxi}.")
    return serving.endpoint


def read_served(api: ServingApi, runtime: VertexRuntime) -> Served:
    """Return the versions, and what of them is deployed.

    Raises:
      ConfigError: the runtime file names no endpoint, or several have its name.
    """
    serving, registry = serving_of(runtime)
    found = find_endpoint(api, endpoint_of(serving).name)
    deployed: tuple[Deployed, ...] = ()
    if found:
        deployed = tuple(
            Deployed(
                each.id,
                version_in(each.model, registry.model) and (each.model_version_id or version_in(each.model, registry.model)),
                found.traffic_split.get(each.id, 0),
            )
            for each in found.deployed_models
        )
    name, etag = (found.name, found.etag) if found else ("", "")
    return Served(versions_of(api, registry.name), name, etag, deployed, serving.champion_alias)


def find_endpoint(api: ServingApi, display_name: str) -> Any:
    """Return the endpoint of a name as the API gives it, None if there is none.

    Raises:
      ConfigError: there are several.
    """
    listed = api.read("Endpoint", "list_endpoints", {"parent": api.location, "filter": f'display_name="{display_name}"'})
    found = [each for each in listed if each.display_name == display_name]
    if len(found) > 1:
        raise ConfigError(
            f"serving.endpoint.name: {len(found)} endpoints are called '{display_name}': {', '.join(e.name for e in found)}. "
            "Delete or rename all but one."
        )
    return found[0] if found else None


def make_endpoint(api: ServingApi, runtime: VertexRuntime) -> str:
    """Make the endpoint, and return its resource name; in a dry run one that stands for it."""
    endpoint: dict[str, Any] = {"displayName": endpoint_of(serving_of(runtime)[0]).name, "labels": dict(runtime.labels)}
    if runtime.encryption_key:
        endpoint["encryptionSpec"] = {"kmsKeyName": runtime.encryption_key}
    made = api.finish(api.change("Endpoint", "create_endpoint", {"parent": api.location, "endpoint": endpoint}))
    return made.name if made else f"{api.location}/endpoints/NEW"


def deploy_version(api: ServingApi, runtime: VertexRuntime, endpoint: str, version: Version, split: Mapping[str, int]) -> Any:
    """Have machines serve a version, and give it its share of the traffic once they do; return the operation.

    The service changes the traffic when the model answers, and leaves it as it is when it never does.

    Args:
      api: of the service.
      runtime: with the machines.
      endpoint: resource name.
      version: to deploy.
      split: of the traffic then; the new model is "0" in it.
    """
    machine = endpoint_of(serving_of(runtime)[0])
    model: dict[str, Any] = {
        "model": version.name,
        "displayName": f"{serving_of(runtime)[1].model}-{version.id}",
        "dedicatedResources": {
            "machineSpec": machine.spec(),
            "minReplicaCount": machine.min_replicas,
            "maxReplicaCount": machine.max_replicas,
        },
    }
    if runtime.service_account:
        model["serviceAccount"] = runtime.service_account
    request = {"endpoint": endpoint, "deployedModel": model, "trafficSplit": dict(split)}
    return api.change("Endpoint", "deploy_model", request)


def set_traffic(api: ServingApi, runtime: VertexRuntime, served: Served, split: Mapping[str, int]) -> None:
    """Change the split, unless the endpoint is not any more what was read.

    Raises:
      google.api_core.exceptions.GoogleAPICallError: it is not (409), or the service refuses.
    """
    if dict(split) == served.split:
        return
    display_name = endpoint_of(serving_of(runtime)[0]).name  # required, whatever the mask says
    endpoint = {"name": served.endpoint, "displayName": display_name, "trafficSplit": dict(split), "etag": served.etag}
    api.change("Endpoint", "update_endpoint", {"endpoint": endpoint, "updateMask": "trafficSplit"})


def undeploy(api: ServingApi, served: Served, keep: Sequence[Version]) -> list[Deployed]:
    """Give back the machines of versions that have no traffic; return what they were.

    Args:
      api: of the service.
      served: as it is now.
      keep: stays, with or without traffic.
    """
    kept = {served.deployed_of(version) for version in keep}
    idle = [each for each in served.deployed if not each.traffic and each.version and each not in kept]
    for each in idle:
        api.finish(api.change("Endpoint", "undeploy_model", {"endpoint": served.endpoint, "deployedModelId": each.id}))
    return idle


def predict(api: ServingApi, endpoint: str, instances: Sequence[Any]) -> Any:
    """Ask an endpoint for predictions; return a PredictResponse."""
    return api.read("Prediction", "predict", {"endpoint": endpoint, "instances": list(instances)})
