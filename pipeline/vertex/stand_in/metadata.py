"""Vertex ML Metadata, as far as experiments need it: contexts, what belongs to them, artifacts."""

from __future__ import annotations

from typing import Any

from pipeline.vertex.stand_in.faults import RefusedError
from pipeline.vertex.stand_in.parts import Part
from pipeline.vertex.stand_in.resources import Resources

_STORE = "metadataStores/default"


class Metadata(Part):
    """Keeps the contexts and artifacts of the default store, which is there from the beginning."""

    def __init__(self, resources: Resources):
        """Begin with nothing."""
        self._resources = resources
        # {context: names of its children, artifacts and executions}
        self.members: dict[str, set[str]] = {}
        super().__init__(
            {
                "CreateContext": lambda request: self._create(request, "context"),
                "GetContext": lambda request: self.find(request.name),
                "CreateArtifact": lambda request: self._create(request, "artifact"),
                "GetArtifact": lambda request: self.find(request.name),
                "AddContextChildren": self._add_children,
                "AddContextArtifactsAndExecutions": self._add_members,
            }
        )

    def find(self, name: str) -> Any:
        """Return a context or an artifact.

        Raises:
          RefusedError: there is none of that name.
        """
        return self._resources.get(name)

    def _create(self, request: Any, kind: str) -> Any:
        if request.parent != f"{self._resources.location}/{_STORE}":
            raise RefusedError(404, f"MetadataStore not found: {request.parent}.")
        return self._resources.create(request.parent, f"{kind}s", getattr(request, kind), getattr(request, f"{kind}_id"))

    def _add_children(self, request: Any) -> Any:
        from google.cloud import aiplatform_v1

        self._add(request.context, request.child_contexts)
        return aiplatform_v1.AddContextChildrenResponse()

    def _add_members(self, request: Any) -> Any:
        from google.cloud import aiplatform_v1

        self._add(request.context, [*request.artifacts, *request.executions])
        return aiplatform_v1.AddContextArtifactsAndExecutionsResponse()

    def _add(self, context: str, names: Any) -> None:
        for name in (context, *names):
            self.find(name)
        self.members.setdefault(context, set()).update(names)
