"""PipelineConfig: WHAT a pipeline does. Frozen, typed; a mistake names its place in the file, what was expected and found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pydantic

from models.compression import litert
from models.compression.config import CompressionConfig
from models.compression.distillation import Distill
from models.fit_config import FitConfig, search_space
from models.metrics import METRICS
from models.tuning.config import TunerConfig, check_objective
from models.tuning.space import Parameter, check_space
from pipeline.config_files import override_value, read_yaml, suggest, validate
from pipeline.data_config import Data
from pipeline.errors import ConfigError
from pipeline.gates import Gate
from pipeline.tasks import TASKS
from preprocessing.features import ID_VALUED, Categorical, Crossed, Feature, Label, column_of, number_columns, raw_columns


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class EvaluationConfig(_Section):
    """What is measured on the eval split."""

    metrics: tuple[str, ...] | None = pydantic.Field(
        None, min_length=1, description="Default: every metric of the label's kind."
    )
    slices: tuple[Annotated[tuple[str, ...], pydantic.Field(min_length=1)], ...] = pydantic.Field(
        (), description="Columns whose values cut the eval split: [[company], [trip_start_hour, payment_type]]."
    )


class PipelineConfig(_Section):
    """One complete experiment."""

    name: str = pydantic.Field(..., pattern=r"^[a-z][a-z0-9-]{0,62}$", description="Lower-case letters, digits and dashes.")
    task: str = pydantic.Field(..., description="Which kind of data: a key of `pipeline.tasks.TASKS`.")
    data: Data = pydantic.Field(..., description="Where the rows are and how they are split.")
    schema_file: str | None = pydantic.Field(
        None, description="Curated schema (.pbtxt), relative to the config; default: inferred."
    )
    label: Label = pydantic.Field(..., description="What to predict.")
    features: dict[Annotated[str, pydantic.Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")], Feature] = pydantic.Field(
        ..., min_length=1, description="Model inputs by name, each with a kind."
    )
    model: pydantic.SerializeAsAny[pydantic.BaseModel] = pydantic.Field(
        None, validate_default=True, description="Size of the network; its keys depend on the task."
    )
    fit: FitConfig = pydantic.Field(FitConfig(), description="How the model is trained.")
    tuner: TunerConfig | None = pydantic.Field(
        None, description="Search for better values of `model:` and `fit:`; default: none, they are taken as they are."
    )
    evaluation: EvaluationConfig = pydantic.Field(EvaluationConfig(), description="What is measured.")
    gates: tuple[Gate, ...] = pydantic.Field(..., description="What a model must hold to be pushed; at least one.")
    compression: CompressionConfig | None = pydantic.Field(None, description="The edge model; default: none is made.")

    @pydantic.field_validator("task")
    @classmethod
    def _known_task(cls, task: str) -> str:
        if task not in TASKS:
            raise ValueError(f"unknown task '{task}'. Expected one of: {', '.join(TASKS)}.")
        return task

    @pydantic.field_validator("model", mode="before")
    @classmethod
    def _model_of_task(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        if isinstance(value, pydantic.BaseModel):
            return value
        if "task" not in info.data:  # unknown task: reported on its own
            return _Section()
        return TASKS[info.data["task"]].model_config.model_validate(value or {})

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> PipelineConfig:
        _check_features(self.features, self.label)
        known = METRICS[self.label.kind]
        for where, name in [
            *(("evaluation.metrics", name) for name in self.evaluation.metrics or ()),
            *((f"gates.{i}.metric", gate.metric) for i, gate in enumerate(self.gates)),
            *([("compression.gates.metric", self.compression.gates.metric)] if self.compression else ()),
        ]:
            if name not in known:
                raise ValueError(
                    f"{where}: unknown metric '{name}'. Expected one of: {', '.join(known)} (label kind {self.label.kind})."
                )
        if not self.gates:
            raise ValueError("gates: none given. Without a gate no model is ever blessed or refused. Give at least one bound.")
        if self.compression:
            _check_compression(self.compression, self)
        if self.tuner:
            check_objective(self.tuner.objective, self.label.kind)
            check_space(self.search_space, {"model": type(self.model), "fit": FitConfig}, self.searched_sections)
        for i, gate in enumerate(self.gates):
            if gate.kind == "worst_slice" and gate.slice not in self.evaluation.slices:
                raise ValueError(f"gates.{i}.slice: {list(gate.slice)} is not among evaluation.slices. Add it there.")
        return self

    @property
    def search_space(self) -> dict[str, Parameter]:
        """What the tuner searches, by place in the config: its own space, or the default one of the task and of `fit:`."""
        if self.tuner and self.tuner.space is not None:
            return self.tuner.space
        spaces = {"fit": search_space(self.fit), "model": TASKS[self.task].search_space(self.model)}
        return {f"{section}.{key}": parameter for section, space in spaces.items() for key, parameter in space.items()}

    @property
    def searched_sections(self) -> dict[str, dict[str, Any]]:
        """The values of the sections that a search may change."""
        return {"model": self.model.model_dump(mode="json"), "fit": self.fit.model_dump(mode="json")}

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics to compute: the configured ones (all by default) and those the gates look at."""
        wanted = self.evaluation.metrics or tuple(METRICS[self.label.kind])
        gated = [gate.metric for gate in self.gates] + ([self.compression.gates.metric] if self.compression else [])
        return tuple(dict.fromkeys([*wanted, *gated]))

    @property
    def columns(self) -> list[str]:
        """Every column that the data must have."""
        sliced = [column for columns in self.evaluation.slices for column in columns]
        return sorted({self.label.column, *raw_columns(self.features), *sliced})

    @property
    def number_columns(self) -> dict[str, str]:
        """Columns that must hold numbers, and what for."""
        return number_columns(self.features, self.label)

    @property
    def digest(self) -> str:
        """sha256 of the whole config."""
        return "sha256:" + hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def _check_features(features: Mapping[str, Feature], label: Label) -> None:
    for name, feature in features.items():
        if not isinstance(feature, Crossed):
            if column_of(name, feature) == label.column:
                raise ValueError(f"features.{name}: reads the label's column '{label.column}'. A label is no feature.")
            if name == label.column:
                raise ValueError(f"features.{name}: has the name of the label's column. Give it another name.")
            continue
        for part in feature.of:
            if part not in features:
                raise ValueError(f"features.{name}.of: unknown feature '{part}'.{suggest(part, list(features))}")
            if not isinstance(features[part], ID_VALUED) or isinstance(features[part], Crossed):
                kinds = "bucketized, categorical, integer_categorical"
                raise ValueError(f"features.{name}.of: '{part}' is {features[part].kind}. Only these can be crossed: {kinds}.")


def _check_compression(compression: CompressionConfig, config: PipelineConfig) -> None:
    if compression.gates.min_agreement is not None and config.label.kind == "regression":
        raise ValueError("compression.gates.min_agreement: a number has no class to agree on. Use max_mean_difference.")
    if compression.gates.max_slice_loss is not None and not config.evaluation.slices:
        raise ValueError("compression.gates.max_slice_loss: there are no slices. Name some under evaluation.slices.")
    for i, recipe in enumerate(compression.recipes):
        if any(getattr(step, "quantizer", None) == "litert" for step in recipe.steps) and not litert.is_installed():
            raise ValueError(f"compression.recipes.{i} ({recipe.name}): {litert.NOT_INSTALLED}")
        for step in recipe.steps:
            for j, changes in enumerate(step.students if isinstance(step, Distill) else ()):
                where = f"compression.recipes.{i} ({recipe.name}): students.{j}"
                try:
                    TASKS[config.task].model_config.model_validate(config.model.model_dump() | changes)
                except pydantic.ValidationError as error:
                    mistakes = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
                    raise ValueError(f"{where}: not a `model:` section: {mistakes}.") from error
    if any(recipe.inputs == "raw" for recipe in compression.recipes):
        for name, feature in config.features.items():
            if isinstance(feature, Categorical) and feature.num_oov_buckets > 1:
                raise ValueError(
                    f"compression.recipes: feature '{name}' has num_oov_buckets: {feature.num_oov_buckets}, which needs "
                    "hashing of text, and no device operator hashes. Set num_oov_buckets: 1, or use no recipe with raw inputs."
                )


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> PipelineConfig:
    """Read a config file.

    Args:
      path: a YAML file.
      overrides: "key.path=value" with a YAML value, applied in order, as of `--set`.

    Raises:
      ConfigError: for every mistake, all of them in one message.
    """
    path = Path(path)
    values = read_yaml(path)
    for override in overrides:
        override_value(values, override)
    config = validate(PipelineConfig, _with_typed_model(values, path), path)
    if config.schema_file and not Path(config.schema_file).is_absolute():
        config = config.model_copy(update={"schema_file": str(path.parent / config.schema_file)})
    if config.schema_file and not Path(config.schema_file).is_file():
        raise ConfigError(
            f"{path}: schema_file: {config.schema_file} does not exist. Remove the key to have a schema inferred."
        )
    return config


def _with_typed_model(values: Any, path: Path) -> Any:
    """Validate the `model:` section by its task's own type, so that a mistake in it is placed like any other."""
    if not isinstance(values, dict) or not isinstance(values.get("task"), str) or values["task"] not in TASKS:
        return values
    model = validate(TASKS[values["task"]].model_config, values.get("model") or {}, path, ("model",))
    return values | {"model": model}
