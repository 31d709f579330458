"""The lineage of a pushed model, as its JSON has it: schema version 1, described field by field in docs/lineage.md."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple, TypeAlias

import pydantic

ModelKind: TypeAlias = Literal["saved_model", "edge"]
Metrics: TypeAlias = dict[str, float | None]

_NAME = re.compile(r"(?:.*/)?(saved_model|edge)/(\d+)/*")


class ModelName(NamedTuple):
    """A pushed version."""

    kind: ModelKind
    version: int

    @classmethod
    def parse(cls, text: str) -> ModelName | None:
        """Read "pushed/edge/3" or any path that ends so; None if it does not."""
        match = _NAME.fullmatch(text)
        return cls("edge" if match[1] == "edge" else "saved_model", int(match[2])) if match else None

    def __str__(self) -> str:
        return f"pushed/{self.kind}/{self.version}"


class _Part(pydantic.BaseModel):
    # What a later version of the schema adds is passed over.
    model_config = pydantic.ConfigDict(frozen=True, extra="ignore", protected_namespaces=(), populate_by_name=True)


class PushedModel(_Part):
    """The version itself. `sha256` is that of what `sha256sum` prints of its files, sorted by name; None if it is gone."""

    path: str
    kind: ModelKind
    version: int
    time: str
    run_id: str
    again: tuple[str, ...] = pydantic.Field((), description="Later runs that would have pushed the same bytes.")
    num_files: int | None = None
    size_bytes: int | None = None
    sha256: str | None = None


class RunFacts(_Part):
    """What the summary of the run that pushed says; None where it is gone."""

    started: str | None = None
    config_digest: str | None = None
    code_digest: str | None = None
    versions: dict[str, str] = {}


class InputFile(_Part):
    """A file as ExampleGen read it; paths inside of the root are relative to it."""

    path: str
    rows: int
    size_bytes: int | None
    modified: str | None
    sha256: str | None


class Data(_Part):
    """What was read: files below `base` that match `pattern`, or the query that `pattern` is."""

    kind: str
    base: str | None
    pattern: str
    span: int | None
    version: int | None
    sha256: str | None
    files: tuple[InputFile, ...]
    examples: dict[str, int]
    quarantined: int


class DataSchema(_Part):
    """Of the columns: where it comes from, and their types."""

    source: str
    sha256: str | None
    columns: dict[str, str]


class Transform(_Part):
    """What makes features of columns; `features` tells each one's kind."""

    module: str
    sha256: str | None
    features: dict[str, str]


class Training(_Part):
    """How the network was trained: the config's `model:` and `fit:`, and what came of them."""

    module: str
    label: dict[str, Any]
    model: dict[str, Any]
    fit: dict[str, Any]
    strategy: str | None
    epochs: int | None
    examples: int | None
    parameters: int | None


class GateResult(_Part):
    """As in summary.json."""

    name: str
    slice: str | None
    bound: str
    value: float | None
    passed: bool


class Evaluation(_Part):
    """What was measured on the eval split, and what the gates of the server model said."""

    metrics: dict[str, Metrics | None]
    num_slices: int
    gates: tuple[GateResult, ...]


class EdgeVariant(_Part):
    """A variant that was chosen: its recipe as the config has it, and what came of it."""

    name: str
    inputs: str
    techniques: tuple[str, ...]
    recipe: dict[str, Any] | None
    size_bytes: int
    metrics: Metrics
    delta: Metrics
    sparsity: float | None
    latency_us: float | None
    gates: tuple[GateResult, ...]


class Ancestor(_Part):
    """Another model: its pushed version, if it has one, and the run that trained it."""

    model: str | None
    artifact: int
    run_id: str
    trained: str
    pushed: str | None


class Edge(_Part):
    """Where an edge model comes from: the float model, and how it was made smaller."""

    float_model: Ancestor
    chosen: EdgeVariant | None = pydantic.Field(description="None if the Compressor's report is gone.")
    chosen_raw: EdgeVariant | None

    @property
    def variants(self) -> list[EdgeVariant]:
        """Those that are in the package."""
        return [variant for variant in (self.chosen, self.chosen_raw) if variant]


class Stage(_Part):
    """An execution that the model needed; `inputs` and `outputs` are ids of artifacts by name of the channel."""

    id: str
    run_id: str
    started: str
    finished: str
    code_digest: str | None
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]


class ArtifactFact(_Part):
    """An artifact that such executions read or left; `id` is ML Metadata's."""

    id: int
    type: str
    uri: str


class Lineage(_Part):
    """All that a pushed model came from."""

    schema_version: Literal[1] = 1
    read_from: str = pydantic.Field("metadata.db", description="metadata.db, or the file of an earlier run.")
    pipeline: str
    pushed: PushedModel
    run: RunFacts
    data: Data
    data_schema: DataSchema = pydantic.Field(alias="schema")
    transform: Transform
    training: Training
    evaluation: Evaluation
    edge: Edge | None
    parents: tuple[Ancestor, ...] = pydantic.Field(description="Models it was compared with, the newest first.")
    stages: tuple[Stage, ...]
    artifacts: tuple[ArtifactFact, ...]
    missing: tuple[str, ...] = pydantic.Field((), description="Files that this would say more with, had they not gone.")

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """Every gate that stood before the push: the server model's and, of an edge model, its own."""
        chosen = self.edge.variants if self.edge else ()
        return (*self.evaluation.gates, *(gate for variant in chosen for gate in variant.gates))

    @property
    def name(self) -> ModelName:
        return ModelName(self.pushed.kind, self.pushed.version)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can say it."""
        return self.model_dump(mode="json", by_alias=True)
