"""docs/configuration.md, generated from the config types: `python -m pipeline.config_docs > docs/configuration.md`."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any

import pydantic
from pydantic_core import PydanticUndefined

from pipeline.config import PipelineConfig
from pipeline.tasks import TASKS
from pipeline.vertex.runtime import VertexRuntime

_INTRODUCTION = """# Configuration

Generated from the config types by `python -m pipeline.config_docs`; a test keeps it current. A config file says WHAT a pipeline
does, a runtime file WHERE. Unknown keys are errors. Any value can be overridden on the command line: `--set fit.epochs=3`.
"""


def render() -> str:
    """Return the page as Markdown."""
    sections = [_INTRODUCTION, "## The config file", *_section(PipelineConfig, set())]
    for name, task in TASKS.items():
        sections += [f"## `model:` of task `{name}`", *_section(task.model_config, set())]
    sections += ["## The Vertex runtime file", *_section(VertexRuntime, set())]
    return "\n\n".join(sections) + "\n"


def _section(model: type[pydantic.BaseModel], seen: set[type]) -> Iterator[str]:
    seen.add(model)
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    nested: list[type[pydantic.BaseModel]] = []
    for name, field in model.model_fields.items():
        nested += [m for m in _models(field.annotation) if m not in seen and m is not pydantic.BaseModel]
        default = "required" if field.is_required() else f"`{_default(field.get_default(call_default_factory=True))}`"
        if field.annotation is pydantic.BaseModel:
            default = "the task's own"
        rows.append(
            f"| `{name}` | {_type(field.annotation)} | {default} | {(field.description or '').replace('|', chr(92) + '|')} |"
        )
    yield "\n".join(rows)
    for child in dict.fromkeys(nested):
        if child not in seen:
            kind = child.model_fields.get("kind")
            tag = f" (`kind: {typing.get_args(kind.annotation)[0]}`)" if kind and typing.get_args(kind.annotation) else ""
            yield f"### {child.__name__}{tag}"
            yield (inspect.getdoc(child) or "").split("\n\n")[0]
            yield from _section(child, seen)


def _models(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models(argument)


def _type(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin is typing.Literal:
        return " \\| ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " \\| ".join(_type(argument) for argument in arguments if argument is not type(None))
    if origin is dict:
        return f"{{{_type(arguments[0])}: {_type(arguments[1])}}}"
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if annotation is pydantic.BaseModel:
        return "by task"
    # Python 3.11 has typing.Any for a type, 3.10 not.
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).removeprefix("typing.")


def _default(value: Any) -> str:
    if value is None or value is PydanticUndefined:
        return "none"
    if isinstance(value, pydantic.BaseModel):
        return "see below"
    return str(list(value)) if isinstance(value, tuple) else str(value)


if __name__ == "__main__":
    print(render(), end="")
