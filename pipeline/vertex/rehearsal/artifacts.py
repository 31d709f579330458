"""Artifacts as Vertex ML Metadata has them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipeline.vertex.rehearsal.job import Json

PENDING, LIVE = "PENDING", "LIVE"


@dataclass(frozen=True)
class Artifact:
    """An artifact.

    Attributes:
      name: of the resource: projects/N/locations/L/metadataStores/default/artifacts/ID.
      type: an ArtifactTypeSchema of the job.
      uri: of its files.
      metadata: {name: value}.
      state: LIVE once its task is done.
      created_ms: since 1970, in milliseconds.
      has_files: there were some when its task was done.
    """

    name: str
    type: Json
    uri: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    state: str = PENDING
    created_ms: int = 0
    has_files: bool = False

    @property
    def title(self) -> str:
        """The name of its type, such as tfx.Model."""
        found = re.search(r"^title:\s*(\S+)", self.type.get("instanceSchema", ""), re.MULTILINE)
        return found.group(1) if found else self.type.get("schemaTitle", "")

    def with_metadata(self, metadata: Mapping[str, Any], uri: str | None = None) -> Artifact:
        """Return it with more metadata, and elsewhere if a URI is given."""
        return replace(self, metadata={**self.metadata, **metadata}, uri=uri or self.uri)

    def published(self) -> Artifact:
        """Return it as it is once its task is done."""
        return replace(self, state=LIVE, has_files=os.path.exists(self.uri))

    @property
    def is_there(self) -> bool:
        """Whether the files it had are there still, as far as this machine can tell."""
        return not self.has_files or os.path.exists(self.uri)

    def to_runtime(self) -> dict[str, Any]:
        """Return the RuntimeArtifact that a task is told."""
        return {"name": self.name, "uri": self.uri, "type": dict(self.type), "metadata": dict(self.metadata)}

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


Artifacts = Mapping[str, tuple[Artifact, ...]]
