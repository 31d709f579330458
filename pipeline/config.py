"""PipelineConfig: WHAT a pipeline does. Frozen, typed; a mistake names its place in the file, what was expected and found."""

from __future__ import annotations

import difflib
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pydantic
import yaml

from models.compression.quantization import CompressionConfig
from models.metrics import METRICS
from models.training import FitConfig
from pipeline.errors import ConfigError
from pipeline.gates import Gate
from pipeline.tasks import TASKS
from preprocessing.features import ID_VALUED, Crossed, Feature, Label, column_of, number_columns, raw_columns


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class CsvData(_Section):
    """Comma-separated files with a header line."""

    kind: Literal["csv"] = "csv"
    path: str = pydantic.Field(
        ..., min_length=1, description="A file, a folder, a glob, gs://..., or package://<package>/<file>."
    )
    split: dict[Literal["train", "eval"], pydantic.PositiveInt] = pydantic.Field(
        {"train": 2, "eval": 1}, min_length=2, description="Weights; a row's side is fixed by the hash of its content."
    )
    max_bad_rows: float = pydantic.Field(
        0.001, ge=0, lt=1, description="Share of unusable rows up to which they are set aside."
    )


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
    data: CsvData = pydantic.Field(..., description="Where the rows are and how they are split.")
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
            *([("compression.gate.metric", self.compression.gate.metric)] if self.compression else ()),
        ]:
            if name not in known:
                raise ValueError(
                    f"{where}: unknown metric '{name}'. Expected one of: {', '.join(known)} (label kind {self.label.kind})."
                )
        if not self.gates:
            raise ValueError("gates: none given. Without a gate no model is ever blessed or refused. Give at least one bound.")
        for i, gate in enumerate(self.gates):
            if gate.kind == "worst_slice" and gate.slice not in self.evaluation.slices:
                raise ValueError(f"gates.{i}.slice: {list(gate.slice)} is not among evaluation.slices. Add it there.")
        return self

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics to compute: the configured ones (all by default) and those the gates look at."""
        wanted = self.evaluation.metrics or tuple(METRICS[self.label.kind])
        gated = [gate.metric for gate in self.gates] + ([self.compression.gate.metric] if self.compression else [])
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
                raise ValueError(f"features.{name}.of: unknown feature '{part}'.{_suggest(part, list(features))}")
            if not isinstance(features[part], ID_VALUED) or isinstance(features[part], Crossed):
                kinds = "bucketized, categorical, integer_categorical"
                raise ValueError(f"features.{name}.of: '{part}' is {features[part].kind}. Only these can be crossed: {kinds}.")


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> PipelineConfig:
    """Read a config file.

    Args:
      path: a YAML file.
      overrides: "key.path=value" with a YAML value, applied in order, as of `--set`.

    Raises:
      ConfigError: for every mistake, all of them in one message.
    """
    path = Path(path)
    values = _read_yaml(path)
    for override in overrides:
        _override(values, override)
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


def validate(model: type[pydantic.BaseModel], values: Any, path: Path, section: Sequence[str] = ()) -> Any:
    """Validate values read from a file against a config type.

    Args:
      model: the type.
      values: what stands in the file, or in a section of it.
      path: the file, for messages.
      section: the keys that lead to the section.

    Raises:
      ConfigError: every mistake with its place in the file.
    """
    if not isinstance(values, dict):
        place = ": ".join([str(path), *section])
        raise ConfigError(
            f"{place}: expected keys and values, found {type(values).__name__}. See configs/taxi.yaml for an example."
        )
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        lines = dict.fromkeys(_explain(model, detail, values, section) for detail in error.errors())
        raise ConfigError(f"{path}: " + "\n".join(lines)) from None


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, not a silent loss of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge"]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(problem=f"key '{twice[0]}' stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_text("utf-8"), _UniqueKeys)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{path} is not YAML: {getattr(error, 'problem', error)}{where}.") from error


def _override(values: Any, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: expected key.path=value, such as fit.epochs=3.")
    *parents, last = key.split(".")
    target = functools.reduce(lambda node, part: _child(node, part, override), parents, values)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: '{text}' is not YAML: {getattr(error, 'problem', error)}.") from error
    if isinstance(target, list):
        target[_position(target, last, override)] = value
    elif isinstance(target, dict):
        target[last] = value
    else:
        raise ConfigError(f"--set {override}: '{'.'.join(parents)}' holds a single value, not keys.")


def _child(node: Any, part: str, override: str) -> Any:
    if isinstance(node, list):
        return node[_position(node, part, override)]
    if not isinstance(node, dict):
        raise ConfigError(f"--set {override}: there is nothing below '{part}'.")
    if node.get(part) is None:
        node[part] = {}
    return node[part]


def _position(values: list, part: str, override: str) -> int:
    if not part.isdecimal() or int(part) >= len(values):
        raise ConfigError(f"--set {override}: '{part}' is no position in a list of {len(values)}.")
    return int(part)


def _explain(model: type[pydantic.BaseModel], detail: Mapping[str, Any], values: Any, section: Sequence[str]) -> str:
    """Put one pydantic error into a sentence: place, expected, found, cure."""
    # Tags of unions appear in the location but not in the file: right after the mapping whose `kind` they are.
    location, node, tag = [], values, None
    for part in detail["loc"]:
        is_tag, tag = part == tag, None
        if is_tag or (not _has(node, part) and detail["type"] not in ("missing", "extra_forbidden")):
            continue
        location.append(str(part))
        node = node[part] if _has(node, part) else None
        tag = node.get("kind") if isinstance(node, dict) else None
    place = ".".join([*section, *location])
    found = detail.get("input")
    if detail["type"] == "missing":
        return f"{place}: required, but not given."
    if detail["type"] == "extra_forbidden":
        return f"{place}: unknown key '{location[-1]}'.{_suggest(location[-1], _known_keys(model, location[:-1]))}"
    if detail["type"] == "union_tag_invalid":
        context = detail["ctx"]
        expected = context["expected_tags"].replace("'", "")
        hint = _suggest(context["tag"], expected.split(", "))
        return f"{place}.kind: unknown kind '{context['tag']}'. Expected one of: {expected}.{hint}"
    if detail["type"] == "union_tag_not_found":
        return f"{place}.kind: required, but not given."
    if detail["type"] == "value_error":
        message = str(detail["ctx"]["error"])
        return f"{place}: {message}" if place else message
    return f"{place}: {detail['msg'][0].lower()}{detail['msg'][1:]}, found {found!r}."


def _has(node: Any, part: Any) -> bool:
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(node)


def _known_keys(root: type[pydantic.BaseModel], parents: Sequence[str]) -> list[str]:
    """Keys that may stand below a path of the config, as far as the types tell without a value."""
    model: Any = root
    for part in parents:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        # An optional section has one model among its types; a union of kinds has several.
        models = [t for t in (annotation, *get_args(annotation)) if isinstance(t, type) and issubclass(t, pydantic.BaseModel)]
        if len(models) != 1:
            return []
        (model,) = models
    return list(model.model_fields)


def _suggest(wrong: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(wrong, known, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""
