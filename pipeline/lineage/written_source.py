"""The lineages that runs left in `runs/<run_id>/lineage.json`: they outlive ML Metadata and the artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pydantic

from pipeline.json_text import to_json
from pipeline.lineage.record import Lineage, ModelName
from pipeline.local.run_folder import LATEST, run_folder

LINEAGE_FILE = "lineage.json"


class WrittenSource:
    """Knows the versions that runs wrote of, where several did the newest run's word."""

    def __init__(self, root: Path):
        """Read a root's files; one that cannot be read is passed over."""
        self._by_name: dict[ModelName, Lineage] = {}
        for file in sorted(path for path in root.glob(f"runs/*/{LINEAGE_FILE}") if path.parent.name != LATEST):
            for lineage in _read(file):
                read_from = str(file.relative_to(root))
                self._by_name[lineage.name] = lineage.model_copy(update={"read_from": read_from})

    @property
    def names(self) -> list[ModelName]:
        """The versions it knows, sorted."""
        return sorted(self._by_name)

    def read(self, name: ModelName) -> Lineage:
        """Return the lineage of a version."""
        return self._by_name[name]


def write(root: Path, run_id: str, lineages: list[Lineage]) -> None:
    """Write the lineages of what a run pushed, in one rename."""
    file = run_folder(root, run_id) / LINEAGE_FILE
    scratch = file.with_name(f".{file.name}")
    content = {"schema_version": 1, "models": [lineage.to_dict() for lineage in lineages]}
    scratch.write_text(to_json(content) + "\n", "utf-8")
    scratch.replace(file)


def _read(file: Path) -> Iterator[Lineage]:
    try:
        content = json.loads(file.read_text("utf-8"))
        yield from [Lineage.model_validate(one) for one in content["models"]]
    except (OSError, ValueError, KeyError, TypeError, pydantic.ValidationError):
        return  # of a later version of this file, or half of one
