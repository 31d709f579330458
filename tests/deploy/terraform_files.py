"""Terraform's files, parsed: blocks by name, what they refer to, and who is given which role on what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2
from lark import Token, Tree

MODULE = "modules/github_identity"
ROOTS = ("images", "environment")
FOLDERS = (*ROOTS, MODULE)

Blocks = dict[str, dict[str, Any]]
# Which attribute of a grant names what it is for.
_TARGETS = {
    "google_artifact_registry_repository_iam_member": "repository",
    "google_cloud_run_v2_service_iam_member": "name",
    "google_kms_crypto_key_iam_member": "crypto_key_id",
    "google_project_iam_member": "project",
    "google_pubsub_topic_iam_member": "topic",
    "google_service_account_iam_member": "service_account_id",
    "google_storage_bucket_iam_member": "bucket",
}
_PATHS = ("get_attr_expr_term", "index_expr_term")


@dataclass(frozen=True, order=True)
class Right:
    """A role that is given to somebody.

    Attributes:
      member: id of an account of these files; of others the expression.
      role: "roles/...".
      target: on what, as an expression.
      condition: expression of the condition, "" for none.
      granted_by: address of the resource.
    """

    member: str
    role: str
    target: str
    condition: str
    granted_by: str


def plain(value: Any) -> Any:
    """Return what was parsed without the quotation marks around names and texts."""
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value[1:-1] if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"' else value


def blocks(folder: Path) -> Blocks:
    """Return {kind of block: {name: body}}; resources and data by "type.name"."""
    found: Blocks = {}
    for file in sorted(folder.glob("*.tf")):
        with file.open() as stream:
            document = plain(hcl2.load(stream))
        for kind, bodies in document.items():
            for body in bodies if isinstance(bodies, list) else []:
                found.setdefault(kind, {}).update(_named(kind, body))
    return found


def _named(kind: str, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if kind in ("resource", "data"):
        for type_, instances in body.items():
            if isinstance(instances, dict):
                yield from ((f"{type_}.{name}", content) for name, content in instances.items() if isinstance(content, dict))
    elif kind == "locals":
        yield from ((name, content) for name, content in body.items() if not name.startswith("__"))
    else:
        yield from ((name, content) for name, content in body.items() if isinstance(content, dict))


def code(folder: Path) -> str:
    """Return the text of a folder's files without comments."""
    return "\n".join(re.sub(r"(?m)^\s*#.*$", "", file.read_text("utf-8")) for file in sorted(folder.glob("*.tf")))


def bare(value: Any) -> str:
    """Return an expression without ${} around it."""
    return re.sub(r"^\$\{(.*)\}$", r"\1", str(value), flags=re.DOTALL)


def references(folder: Path) -> set[tuple[str, ...]]:
    """Return what the files of a folder refer to, such as ("var", "project") or ("google_x", "accounts", "[retrain]", "email").

    An index that is an expression is "[]", and what it refers to is there as well. Loop variables begin with "for".
    """
    trees = [hcl2.parses_to_tree(file.read_text("utf-8")) for file in sorted(folder.glob("*.tf"))]
    return {path for tree in trees for path in _paths(tree, frozenset())}


def _paths(node: Tree[Any] | Token, loops: frozenset[str]) -> Iterator[tuple[str, ...]]:
    if isinstance(node, Token):
        if node.type.startswith("HEREDOC"):
            for inner in re.findall(r"\$\{([^}]*)\}", node):
                yield from _paths(hcl2.parses_to_tree(f"x = {inner}\n"), loops)
        return
    loops = loops | _loop_variables(node)
    children: list[Any] = node.children
    if node.data in _PATHS and (path := _path(node))[0].isidentifier():
        yield ("for", *path) if path[0] in loops else path
        children = [index for part in node.iter_subtrees() if part.data == "braces_index" for index in part.children]
    for child in children:
        if child is not None:
            yield from _paths(child, loops)


def _loop_variables(node: Tree[Any]) -> set[str]:
    """Return the names that `for` or a dynamic block gives to what is inside."""
    if node.data in ("for_tuple_expr", "for_object_expr"):
        intro = next(child for child in node.children if isinstance(child, Tree) and child.data == "for_intro")
        return {_text(child) for child in intro.children if isinstance(child, Tree) and child.data == "identifier"}
    if node.data == "block" and _text(node.children[0]) == "dynamic":
        return {_text(node.children[1]).strip('"')}
    return set()


def _path(node: Tree[Any]) -> tuple[str, ...]:
    """Return the steps of a.b["c"].d; of what a function returned the first step is its text."""
    if node.data not in _PATHS:
        return (_text(node),)
    inner, step = [child for child in node.children if isinstance(child, Tree)]
    while inner.data == "expr_term" and isinstance(inner.children[0], Tree):
        inner = inner.children[0]
    text = _text(step)
    if step.data == "get_attr":
        return (*_path(inner), text.removeprefix("."))
    literal = re.fullmatch(r'\["?(\w[\w-]*)"?\]', text)
    is_literal = literal and (text[1] == '"' or literal[1].isdigit())
    return (*_path(inner), f"[{literal[1]}]" if literal and is_literal else "[]")


def _text(node: Tree[Any] | Token) -> str:
    if isinstance(node, Token):
        return str(node)
    return "".join(str(token) for token in node.scan_values(lambda value: isinstance(value, Token)))


def rights(parsed: Blocks) -> list[Right]:
    """Return the grants of a folder, one for each account and role.

    Raises:
      KeyError: a grant is of a kind that is unknown here.
    """
    found = []
    for address, body in parsed["resource"].items():
        kind = address.partition(".")[0]
        if not kind.endswith("_iam_member"):
            continue
        condition = " && ".join(each["expression"] for each in body.get("condition", []))
        for each in _instances(bare(body.get("for_each", "")), parsed.get("locals", {})):
            member, role, target = (_filled(bare(body[name]), each) for name in ("member", "role", _TARGETS[kind]))
            found.append(Right(_account(member, parsed), role, target, condition, address))
    return found


def _instances(for_each: str, names: dict[str, Any]) -> list[dict[str, str]]:
    """Return what each.* is, one an instance; nothing is known of what only values decide."""
    if named := re.fullmatch(r"local\.(\w+)", for_each):
        for_each = bare(names[named[1]])
    if "local.project_roles" in for_each:
        pairs = [(account, role) for account, roles in names["project_roles"].items() for role in roles]
        return [{"each.value.account": account, "each.value.role": role} for account, role in pairs]
    literal = [each for each in re.findall(r"toset\(\[([^\]]*)\]\)", for_each) if each]
    return [{"each.value": each, "each.key": each} for each in re.findall(r'"([^"]+)"', "".join(literal))] or [{}]


def _filled(expression: str, each: dict[str, str]) -> str:
    for name, value in each.items():
        if expression == name:
            return value
        expression = expression.replace(f"[{name}]", f'["{value}"]')
    return expression


def accounts(parsed: Blocks) -> dict[str, str]:
    """Return {expression: id} of the service accounts of a folder."""
    found = {}
    for address, body in parsed["resource"].items():
        if address.startswith("google_service_account."):
            if bare(body.get("for_each", "")) == "local.accounts":
                found |= {f'{address}["{account}"]': account for account in parsed["locals"]["accounts"]}
            else:
                found[address] = body["account_id"]
    return found


def _account(member: str, parsed: Blocks) -> str:
    return accounts(parsed).get(member.removesuffix(".member"), member)
