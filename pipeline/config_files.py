"""YAML files into typed configs: every mistake is named by its place in the file, with what was expected and found."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pydantic
import yaml

from pipeline.errors import ConfigError


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
        lines = dict.fromkeys(_explain(model, detail, values, section) for detail in _mistakes(error))
        raise ConfigError(f"{path}: " + "\n".join(lines)) from None


def _mistakes(error: pydantic.ValidationError) -> list[Mapping[str, Any]]:
    """Return the errors, without "too short" for a list that is so only because of mistakes in its items."""
    details: list[Mapping[str, Any]] = list(error.errors())
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(len(place) > len(detail["loc"]) and place[: len(detail["loc"])] == detail["loc"] for place in places)
    ]


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, not a silent loss of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge"]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(problem=f"key '{twice[0]}' stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises:
      ConfigError: it is not there, not UTF-8, not YAML, or names a key twice.
    """
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


def override_value(values: Any, override: str) -> None:
    """Set one value in place, as `--set key.path=value` asks; positions in a list are numbers.

    Raises:
      ConfigError: it is not of that form, or leads nowhere.
    """
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
    for depth, part in enumerate(detail["loc"], 1):
        is_tag, tag = part == tag, None
        is_named = depth == len(detail["loc"]) and detail["type"] in ("missing", "extra_forbidden")
        if is_tag or not (_has(node, part) or is_named):
            continue
        location.append(str(part))
        node = node[part] if _has(node, part) else None
        tag = node.get("kind", node.get("by")) if isinstance(node, dict) else None
    place = ".".join([*section, *location])
    found = detail.get("input")
    if detail["type"] == "missing":
        return f"{place}: required, but not given."
    if detail["type"] == "extra_forbidden":
        return f"{place}: unknown key '{location[-1]}'.{suggest(location[-1], _known_keys(model, location[:-1], values))}"
    if detail["type"] == "union_tag_invalid":
        context = detail["ctx"]
        expected = context["expected_tags"].replace("'", "")
        hint = suggest(context["tag"], expected.split(", "))
        if isinstance(found, dict) and "by" in found:
            return f"{place}.by: unknown '{context['tag']}'. Expected one of: {expected.replace('weights, ', '')}, or weights."
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


def _known_keys(root: type[pydantic.BaseModel], parents: Sequence[str], values: Any) -> list[str]:
    """Keys that may stand below a path of the config, as far as the types and the tags in the values tell."""
    model: Any = root
    for part in parents:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        values = values.get(part) if isinstance(values, dict) else None
        models = list(_models(annotation))
        if len(models) > 1:
            models = [one for one in models if _is_tagged(one, values)]
        if len(models) != 1:
            return []
        (model,) = models
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    """Yield the sections among a type's alternatives: one if it is optional, several in a union of kinds."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, UnionType):
        for argument in get_args(annotation):
            yield from _models(argument)


def _is_tagged(model: type[pydantic.BaseModel], values: Any) -> bool:
    """Tell whether the tag in some values, or its default, is this model's."""
    for tag in ("kind", "by"):
        if (field := model.model_fields.get(tag)) and isinstance(values, dict):
            return values.get(tag, field.default) in get_args(field.annotation)
    return False


def suggest(wrong: str, known: Sequence[str]) -> str:
    """Return " Did you mean '...'?" for the nearest known name, nothing if none is near."""
    near = difflib.get_close_matches(wrong, known, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""
