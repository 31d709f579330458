"""Feature and label kinds a config may declare, and the only place where transformed names are spelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import pydantic

PERIODS = {"hour": 24, "weekday": 7, "month": 12}
MISSING_ID = 0  # the first id of every id-valued feature stands for "no value"


class _Declared(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class _ColumnFeature(_Declared):
    column: str | None = pydantic.Field(None, min_length=1, description="Column of the data; default: the feature's own name.")


class Numeric(_ColumnFeature):
    """A number: z-score, with missing values at the mean and flagged in a second input."""

    kind: Literal["numeric"]
    log: bool = pydantic.Field(False, description="Take sign(x) * log(1 + |x|) first: for amounts with a long tail.")


class Bucketized(_ColumnFeature):
    """A number cut at its quantiles into buckets of about equal counts."""

    kind: Literal["bucketized"]
    num_buckets: int = pydantic.Field(10, ge=2, le=1000)


class Categorical(_ColumnFeature):
    """A string or integer looked up in a vocabulary learned from the training split."""

    kind: Literal["categorical"]
    vocabulary_size: int | None = pydantic.Field(None, ge=1, description="Keep the most frequent values; default: all.")
    num_oov_buckets: int = pydantic.Field(1, ge=1, description="Ids for values outside the vocabulary, shared by hash.")
    min_count: int = pydantic.Field(1, ge=1, description="Values seen less often in the training split are out of vocabulary.")


class IntegerCategorical(_ColumnFeature):
    """An integer that is already an id in [0, num_values)."""

    kind: Literal["integer_categorical"]
    num_values: int = pydantic.Field(..., ge=2)


class Cyclical(_ColumnFeature):
    """An hour (0-23), weekday or month as a point on a circle: sine and cosine."""

    kind: Literal["cyclical"]
    period: Literal["hour", "weekday", "month"]


class Crossed(_Declared):
    """The combination of two or three id-valued features, hashed into buckets."""

    kind: Literal["crossed"]
    of: tuple[str, ...] = pydantic.Field(..., min_length=2, max_length=3)
    num_buckets: int = pydantic.Field(..., ge=2)


Feature = Annotated[
    Numeric | Bucketized | Categorical | IntegerCategorical | Cyclical | Crossed, pydantic.Field(discriminator="kind")
]
Features = Mapping[str, Feature]
ID_VALUED = (Bucketized, Categorical, IntegerCategorical, Crossed)
NUMBER_VALUED = (Numeric, Bucketized, IntegerCategorical, Cyclical)


class BinaryLabel(_Declared):
    """A label with two values."""

    kind: Literal["binary"]
    column: str = pydantic.Field(..., min_length=1)
    positive: pydantic.StrictInt | pydantic.StrictStr = pydantic.Field(1, description="The value of the positive class.")
    negative: pydantic.StrictInt | pydantic.StrictStr | None = pydantic.Field(
        None, description="The other value, to name it in the model's output; default: 0 for 1, otherwise `not <positive>`."
    )


class MulticlassLabel(_Declared):
    """A label with a handful of values; the classes are learned from the training split."""

    kind: Literal["multiclass"]
    column: str = pydantic.Field(..., min_length=1)


class RegressionLabel(_Declared):
    """A number to predict."""

    kind: Literal["regression"]
    column: str = pydantic.Field(..., min_length=1)


Label = Annotated[BinaryLabel | MulticlassLabel | RegressionLabel, pydantic.Field(discriminator="kind")]


def transformed_name(name: str, part: str = "") -> str:
    """Return the name of a feature (or of a part of it, such as "missing") after Transform."""
    return f"{name}_xf_{part}" if part else f"{name}_xf"


def column_of(name: str, feature: Feature) -> str:
    """Return the raw column that a feature reads.

    Raises:
      ValueError: for a crossed feature, which reads other features.
    """
    if isinstance(feature, Crossed):
        raise ValueError(f"Feature '{name}' is crossed: it reads the features {list(feature.of)}, not a column.")
    return feature.column or name


def raw_columns(features: Features) -> list[str]:
    """Return the raw columns that the features read, sorted, each once."""
    return sorted({column_of(name, feature) for name, feature in features.items() if not isinstance(feature, Crossed)})


def number_columns(features: Features, label: Label) -> dict[str, str]:
    """Return {raw column: kind} for every column that must hold numbers."""
    columns: dict[str, str] = {column_of(name, f): f.kind for name, f in features.items() if isinstance(f, NUMBER_VALUED)}
    if isinstance(label, RegressionLabel):
        columns[label.column] = "regression label"
    return columns


@dataclass(frozen=True)
class EncodedFeature:
    """One tensor that Transform writes and a model reads.

    Attributes:
      name: transformed name.
      feature: name of the feature in the config.
      width: last dimension; the tensor has shape (batch, width).
      num_ids: for ids, how many there are (ids lie in [0, num_ids)); None for float values.
      derived: whether it restates other inputs to save a model work: buckets of a column that is a
        numeric feature as well, a cross of ids.
    """

    name: str
    feature: str
    width: int = 1
    num_ids: int | None = None
    derived: bool = False


def encoded_features(features: Features, vocabulary_size: Callable[[str], int]) -> list[EncodedFeature]:
    """List what Transform writes for the features, in the config's order.

    Args:
      features: as declared in the config.
      vocabulary_size: gives the number of values in the vocabulary of a categorical feature.
    """
    return [encoded for name in features for encoded in _encoded(name, features, vocabulary_size)]


def _encoded(name: str, features: Features, vocabulary_size: Callable[[str], int]) -> Iterator[EncodedFeature]:
    own, feature = transformed_name(name), features[name]
    if isinstance(feature, Numeric):
        yield EncodedFeature(own, name)
        yield EncodedFeature(transformed_name(name, "missing"), name)
    elif isinstance(feature, Cyclical):
        yield EncodedFeature(own, name, width=2)
    elif isinstance(feature, Bucketized):
        as_number = {column_of(other, f) for other, f in features.items() if isinstance(f, Numeric)}
        restates = column_of(name, feature) in as_number
        yield EncodedFeature(own, name, num_ids=1 + feature.num_buckets, derived=restates)
    elif isinstance(feature, Categorical):
        yield EncodedFeature(own, name, num_ids=1 + vocabulary_size(name) + feature.num_oov_buckets)
    elif isinstance(feature, IntegerCategorical):
        yield EncodedFeature(own, name, num_ids=1 + feature.num_values + 1)
    else:
        yield EncodedFeature(own, name, num_ids=feature.num_buckets, derived=True)
