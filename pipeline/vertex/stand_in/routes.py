"""Which call of the API a request is: read from the client library, whose requests then fit what is answered here."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pipeline.vertex.service import register_messages
from pipeline.vertex.stand_in.faults import RefusedError

SERVICES = ("job", "pipeline", "schedule", "tensorboard", "metadata", "model", "endpoint", "prediction")
# Of the library's own: how enums are to be written, which the parser of protocol buffers takes in either form.
_SYSTEM_PARAMETERS = ("$alt", "alt", "$prettyPrint")


@dataclass(frozen=True)
class Route:
    """A call of the API.

    Attributes:
      name: such as "CreateCustomJob".
      verb: of HTTP.
      path: pattern with a group for each field that is part of it.
      fields: those fields, in their order.
      body: the field that the body is, "*" for all others, None for no body.
    """

    name: str
    verb: str
    path: re.Pattern[str]
    fields: tuple[str, ...]
    body: str | None

    def request(self, match: re.Match[str], query: Mapping[str, Any], body: bytes) -> Any:
        """Return the request as the API's own message.

        Raises:
          RefusedError: a field is unknown, of another type, or lacking.
        """
        from google.cloud import aiplatform_v1
        from google.protobuf import json_format

        message = getattr(aiplatform_v1.types, f"{self.name}Request")
        values: dict[str, Any] = {}
        for name, value in {**query, **dict(zip(self.fields, match.groups(), strict=True))}.items():
            _put(values, name, unquote(value) if isinstance(value, str) else value)
        content = json.loads(body or b"{}")
        if self.body == "*":
            values |= content
        elif self.body:
            values[self.body] = {**content, **values.get(self.body, {})}
        pb = message.pb(message())
        try:
            json_format.ParseDict(values, pb)
        except json_format.ParseError as error:
            raise RefusedError(400, f"Invalid JSON payload received: {error}") from None
        request = message.deserialize(pb.SerializeToString())
        if lacking := list(missing(request)):
            raise RefusedError(400, f"List of found errors: {'; '.join(f'{name} is required' for name in lacking)}.")
        return request


def read_routes() -> list[Route]:
    """Return the calls of the services that this stands in for."""
    register_messages()
    routes: list[Route] = []
    for service in SERVICES:
        module = importlib.import_module(f"google.cloud.aiplatform_v1.services.{service}_service.transports.rest_base")
        base = getattr(module, f"_Base{service.capitalize()}ServiceRestTransport")
        for name in dir(base):
            # Calls that stream have none.
            if name.startswith("_Base") and (options := getattr(getattr(base, name), "_get_http_options", None)):
                routes += _routes(name.removeprefix("_Base"), options())
    return routes


def parse(target: str) -> tuple[str, dict[str, Any]]:
    """Split a request's target into its path and {parameter of the query: value, or values}."""
    split = urlsplit(target)
    query: dict[str, Any] = {}
    for name, value in parse_qsl(split.query, keep_blank_values=True):
        if name not in _SYSTEM_PARAMETERS:
            query[name] = (
                value if name not in query else [*([query[name]] if isinstance(query[name], str) else query[name]), value]
            )
    return split.path, query


def missing(message: Any, place: str = "") -> Iterator[str]:
    """Give the required fields that a message lacks, by the documentation of its type; empty messages count as none."""
    if not hasattr(type(message), "meta"):  # a map, or a message of protocol buffers themselves
        return
    for name in re.findall(r"^ {8}(\w+) \([^\n]*\):\s*\n\s+Required\.", type(message).__doc__ or "", re.MULTILINE):
        if name in type(message).meta.fields and not _is_set(message, name):
            yield f"{place}{name}"
    for name, field in type(message).meta.fields.items():
        if not field.message or not hasattr(field.message, "meta") or not _is_set(message, name):
            continue
        inner = getattr(message, name)
        if field.repeated and not hasattr(inner, "keys"):
            for index, item in enumerate(inner):
                yield from missing(item, f"{place}{name}[{index}].")
        elif not field.repeated:
            yield from missing(inner, f"{place}{name}.")


def _is_set(message: Any, name: str) -> bool:
    pb = type(message).pb(message)
    for field, value in pb.ListFields():
        if field.name == name.rstrip("_"):
            return not hasattr(value, "ByteSize") or value.ByteSize() > 0
    return False


def _routes(name: str, options: list[dict[str, str]]) -> Iterator[Route]:
    for option in options:
        if option["uri"].startswith("/ui/"):  # the console's own address
            continue
        fields: list[str] = []

        def group(match: re.Match[str], fields: list[str] = fields) -> str:
            fields.append(match[1])
            return "(" + re.escape(match[2]).replace(r"\*\*", ".+").replace(r"\*", "[^/:]+") + ")"

        pattern = re.sub(r"\{([\w.]+)=([^}]+)\}", group, option["uri"])
        yield Route(name, option["method"].upper(), re.compile(pattern), tuple(fields), option.get("body"))


def _put(values: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value
