"""The stand-in of Vertex AI as tests of serving look at it: one model, one endpoint."""

from __future__ import annotations

import re
from typing import Any

from pipeline.vertex.stand_in.faults import RefusedError
from pipeline.vertex.stand_in.server import StandIn


class ModelService(StandIn):
    """The service of my-project in europe-west4."""

    def __init__(self) -> None:
        super().__init__("my-project", "europe-west4")

    def fail_next(self, method: str, code: int, message: str) -> None:
        """Refuse the next call of a method, such as "UploadModel"."""
        self.refuse(method, RefusedError(code, message))

    def sent(self, *methods: str) -> list[dict[str, Any]]:
        """Return the bodies of all calls of some methods, those that were refused too."""
        return [call.body for call in self.asked if call.name in methods]

    @property
    def changes(self) -> list[str]:
        """Methods that change something, in order."""
        return [call.name for call in self.asked if not re.match("List|Get|Predict", call.name)]

    @property
    def versions(self) -> dict[str, list[Any]]:
        return self.models.versions

    @property
    def served(self) -> list[Any]:
        """The endpoints there are."""
        return self.resources.list(self.resources.location, "endpoints")

    @property
    def jobs(self) -> list[Any]:
        return self.resources.list(self.resources.location, "batchPredictionJobs")

    @property
    def split(self) -> dict[str, int]:
        """{version: percent} of what is deployed on the only endpoint."""
        (endpoint,) = self.served
        return {each.model_version_id: endpoint.traffic_split.get(each.id, 0) for each in endpoint.deployed_models}

    @property
    def aliases(self) -> list[list[str]]:
        """Of each version of the only model."""
        (versions,) = self.versions.values()
        return [list(version.version_aliases) for version in versions]
