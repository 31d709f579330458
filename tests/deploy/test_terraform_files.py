"""The reader of Terraform's files sees what it is to see: its blind spots would be those of the tests that use it."""

from __future__ import annotations

from pathlib import Path

import pytest
from terraform_files import Right, blocks, references, rights

GRANT = """
locals {
  accounts      = { one = "One", two = "Two" }
  project_roles = { one = ["roles/a.user", "roles/b.user"] }
  grants        = merge([for a, rs in local.project_roles : { for r in rs : "${a} ${r}" => {} }]...)
  both          = var.b == null ? toset([]) : toset(["one", "two"])
}
resource "google_service_account" "accounts" {
  for_each   = local.accounts
  account_id = each.key
}
"""


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("var.a", {("var", "a")}),
        ('"text a.b ${var.a}-${module.m.o}"', {("var", "a"), ("module", "m", "o")}),
        ('google_x.y["one"].z[0].w', {("google_x", "y", "[one]", "z", "[0]", "w")}),
        ("google_x.y[var.k].z", {("google_x", "y", "[]", "z"), ("var", "k")}),
        ("tolist(var.a)[0].b", {("var", "a")}),
        ("var.a == null ? {} : { k = local.b }", {("var", "a"), ("local", "b")}),
        ("[for e in var.a : e.name if e.name != local.b]", {("var", "a"), ("local", "b"), ("for", "e", "name")}),
        ("<<-EOT\n    a.b ${data.t.n.c}\n  EOT", {("data", "t", "n", "c")}),
    ],
)
def test_references_are_found_in_every_kind_of_expression(expression: str, found: set[object], tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(f"locals {{\n  x = {expression}\n}}\n")
    assert references(tmp_path) == found


def test_a_loop_variable_is_one_only_inside_its_loop(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text("locals {\n  x = [for e in [] : e.a]\n  y = e.b\n}\n")
    assert references(tmp_path) == {("for", "e", "a"), ("e", "b")}


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (
            """
            for_each = local.grants
            project  = var.p
            role     = each.value.role
            member   = google_service_account.accounts[each.value.account].member
            """,
            [("one", "roles/a.user"), ("one", "roles/b.user")],
        ),
        (
            """
            for_each = local.both
            project  = var.p
            role     = "roles/c.user"
            member   = google_service_account.accounts[each.key].member
            """,
            [("one", "roles/c.user"), ("two", "roles/c.user")],
        ),
        (
            """
            for_each = toset(["roles/c.user", "roles/d.user"])
            project  = var.p
            role     = each.value
            member   = google_service_account.accounts["one"].member
            """,
            [("one", "roles/c.user"), ("one", "roles/d.user")],
        ),
        (
            """
            project = var.p
            role    = "roles/c.user"
            member  = google_service_account.accounts["three"].member
            """,
            [('google_service_account.accounts["three"].member', "roles/c.user")],
        ),
    ],
)
def test_rights_are_told_for_each_account_and_role(grant: str, expected: list[tuple[str, str]], tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(f'{GRANT}resource "google_project_iam_member" "g" {{{grant}}}\n')
    address = "google_project_iam_member.g"
    assert rights(blocks(tmp_path)) == [Right(member, role, "var.p", "", address) for member, role in expected]


def test_a_grant_of_an_unknown_kind_is_no_silence(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('resource "google_new_iam_member" "g" {\n  member = "m"\n  role = "r"\n}\n')
    with pytest.raises(KeyError, match="google_new_iam_member"):
        rights(blocks(tmp_path))
