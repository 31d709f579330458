"""Endpoints: models that are deployed on them, and the traffic that each gets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from pipeline.vertex.stand_in.faults import RefusedError
from pipeline.vertex.stand_in.models import Models
from pipeline.vertex.stand_in.operations import Operations
from pipeline.vertex.stand_in.parts import Part
from pipeline.vertex.stand_in.resources import Resources

# Given the version of a model and instances, returns a prediction for each, as JSON has it.
Predict: TypeAlias = Callable[[str, Sequence[Any]], list[Any]]
_ALL = 100
_NEW = "0"  # in the split of a request to deploy: the model that it deploys
# What share of the traffic the next question falls on: a step that visits each percent before it comes back.
_STEP = 37


class Endpoints(Part):
    """Keeps endpoints, and answers predictions by the split of their traffic."""

    def __init__(self, resources: Resources, models: Models, operations: Operations, predict: Predict):
        """Begin with none.

        Args:
          resources: that endpoints are among.
          models: that can be deployed.
          operations: that creating, deploying and undeploying are.
          predict: gives predictions.
        """
        self._resources, self._models, self._operations, self._predict = resources, models, operations, predict
        self._numbers, self._questions = itertools.count(1001), itertools.count(1)
        super().__init__(
            {
                "CreateEndpoint": self._create,
                "GetEndpoint": lambda request: self._resources.get(request.name),
                "ListEndpoints": self._list,
                "UpdateEndpoint": self._update,
                "DeployModel": self._deploy,
                "UndeployModel": self._undeploy,
                "Predict": self._answer,
            }
        )

    def set_split(self, endpoint: Any, split: Mapping[str, int]) -> None:
        """Change a split, and with it the etag.

        Raises:
          RefusedError: it is none of the deployed models.
        """
        ids = {each.id for each in endpoint.deployed_models}
        if not set(split) <= ids or (split and sum(split.values()) != _ALL):
            raise RefusedError(400, f"traffic_split {dict(split)} is no split of {sorted(ids)}, which sums to {_ALL}.")
        endpoint.traffic_split, endpoint.etag = dict(split), str(int(endpoint.etag or 0) + 1)

    def _create(self, request: Any) -> Any:
        self._resources.check_parent(request.parent)

        def apply() -> Any:
            request.endpoint.etag = "1"
            return self._resources.create(request.parent, "endpoints", request.endpoint, request.endpoint_id)

        return self._operations.begin("CreateEndpoint", request.parent, apply)

    def _list(self, request: Any) -> Any:
        from google.cloud import aiplatform_v1

        found = self._resources.list(request.parent, "endpoints", request.filter)
        return aiplatform_v1.ListEndpointsResponse(endpoints=found)

    def _update(self, request: Any) -> Any:
        update = request.endpoint
        endpoint = self._resources.get(update.name)
        if update.etag and update.etag != endpoint.etag:
            raise RefusedError(409, f"The etag {update.etag} is not {endpoint.etag}: somebody has changed {update.name}.")
        for field in request.update_mask.paths:
            if field == "traffic_split":
                self.set_split(endpoint, update.traffic_split)
            else:
                setattr(endpoint, field, getattr(update, field))
        return endpoint

    def _deploy(self, request: Any) -> Any:
        from google.cloud import aiplatform_v1

        endpoint = self._resources.get(request.endpoint)
        model = self._models.find(request.deployed_model.model)
        if (total := sum(request.traffic_split.values())) != _ALL:
            raise RefusedError(400, f"traffic_split sums to {total}, not to {_ALL}.")

        def apply() -> Any:
            deployed = request.deployed_model
            deployed.id, deployed.model_version_id = str(next(self._numbers)), model.version_id
            deployed.model = f"{deployed.model.split('@')[0]}@{model.version_id}"
            endpoint.deployed_models.append(deployed)
            self.set_split(endpoint, {deployed.id if key == _NEW else key: n for key, n in request.traffic_split.items()})
            return aiplatform_v1.DeployModelResponse(deployed_model=deployed)

        return self._operations.begin("DeployModel", request.endpoint, apply)

    def _undeploy(self, request: Any) -> Any:
        from google.cloud import aiplatform_v1

        endpoint, gone = self._resources.get(request.endpoint), request.deployed_model_id
        if endpoint.traffic_split.get(gone, 0):
            raise RefusedError(400, f"The deployed model {gone} has traffic.")

        def apply() -> Any:
            endpoint.deployed_models = [each for each in endpoint.deployed_models if each.id != gone]
            self.set_split(endpoint, {key: n for key, n in endpoint.traffic_split.items() if key != gone})
            return aiplatform_v1.UndeployModelResponse()

        return self._operations.begin("UndeployModel", request.endpoint, apply)

    def _answer(self, request: Any) -> dict[str, Any]:
        from google.protobuf import json_format

        endpoint = self._resources.get(request.endpoint)
        if not endpoint.traffic_split:
            raise RefusedError(400, f"{request.endpoint} has no deployed model with traffic.")
        at, end = _STEP * next(self._questions) % _ALL, 0
        for chosen in sorted(endpoint.traffic_split):
            end += endpoint.traffic_split[chosen]
            if at < end:
                break
        deployed = next(each for each in endpoint.deployed_models if each.id == chosen)
        instances = json_format.MessageToDict(type(request).pb(request)).get("instances", [])
        predictions = self._predict(deployed.model_version_id, instances)
        return {"predictions": predictions, "deployedModelId": chosen, "modelVersionId": deployed.model_version_id}
