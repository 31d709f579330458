"""Terraform: written as its own formatter would, every name there is, the least rights, and what the documentation says."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import pytest

ROOTS = ("images", "environment")
FOLDERS = (*ROOTS, "modules/github_identity")
# What enables an API of its own, by how the name of a resource begins; the longest beginning counts.
APIS = {
    "google_artifact_registry": "artifactregistry",
    "google_cloud_run": "run",
    "google_cloud_scheduler": "cloudscheduler",
    "google_cloudfunctions2": "cloudfunctions",
    "google_eventarc": "eventarc",
    "google_iam_workload_identity": "iam",
    "google_kms": "cloudkms",
    "google_monitoring": "monitoring",
    "google_pubsub": "pubsub",
    "google_service_account": "iam",
    "google_storage": "storage",
    "google_vertex_ai": "aiplatform",
}


def plain(value: Any) -> Any:
    """Return what was parsed without the quotation marks around names and texts."""
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value[1:-1] if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"' else value


@pytest.fixture(scope="module")
def terraform(repository: Path) -> Path:
    return repository / "deploy" / "terraform"


@pytest.fixture(scope="module")
def parsed(terraform: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """{folder: {kind of block: {name: body}}}; resources and data by "type.name"."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for folder in FOLDERS:
        blocks = found.setdefault(folder, {})
        for file in sorted((terraform / folder).glob("*.tf")):
            with file.open() as stream:
                document = plain(hcl2.load(stream))
            for kind, bodies in document.items():
                for body in bodies if isinstance(bodies, list) else []:
                    for name, content in named(kind, body):
                        blocks.setdefault(kind, {})[name] = content
    return found


def named(kind: str, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if kind in ("resource", "data"):
        for type_, instances in body.items():
            if isinstance(instances, dict):
                yield from ((f"{type_}.{name}", content) for name, content in instances.items() if isinstance(content, dict))
    elif kind == "locals":
        yield from body.items()
    else:
        yield from ((name, content) for name, content in body.items() if isinstance(content, dict))


def run(*command: object, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **how)


def code(folder: Path) -> str:
    """Return the text of a folder's files without comments."""
    return "\n".join(re.sub(r"(?m)^\s*#.*$", "", file.read_text()) for file in sorted(folder.glob("*.tf")))


# The other tests hold the files to what a parser sees.
installed = pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed.")


@installed
def test_files_are_as_terraform_would_format_them(terraform: Path) -> None:
    formatted = run("terraform", "fmt", "-check", "-recursive", "-diff", terraform)
    assert formatted.returncode == 0, formatted.stdout


@installed
@pytest.mark.parametrize("folder", ROOTS)
def test_files_are_valid(terraform: Path, tmp_path: Path, folder: str) -> None:
    shutil.copytree(terraform.parent, tmp_path / "deploy")
    place = f"-chdir={tmp_path / 'deploy' / 'terraform' / folder}"
    if run("terraform", place, "init", "-backend=false").returncode != 0:
        pytest.skip("Terraform's providers cannot be downloaded here.")
    done = run("terraform", place, "validate")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_name_is_declared_and_every_variable_used(terraform: Path, parsed: Any, folder: str) -> None:
    text, blocks = code(terraform / folder), parsed[folder]
    for prefix, kind in (("var", "variable"), ("local", "locals"), ("module", "module")):
        used = set(re.findall(rf"\b{prefix}\.(\w+)", text))
        declared = {name for name in blocks.get(kind, {}) if not name.startswith("__")}
        assert used <= declared, (kind, used - declared)
        if kind != "module":
            assert declared <= used, (kind, "declared for nothing", declared - used)
    data = {f"data.{name}" for name in re.findall(r"\bdata\.(\w+\.\w+)", text)}
    assert data <= {f"data.{name}" for name in blocks.get("data", {})}
    without_data = re.sub(r"\bdata\.\w+\.\w+", "", text)
    assert set(re.findall(r"\b(google_\w+\.\w+)", without_data)) <= set(blocks["resource"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_variables_and_outputs_say_what_they_are(parsed: Any, folder: str) -> None:
    for name, variable in parsed[folder]["variable"].items():
        assert {"type", "description"} <= set(variable), name
    for name, output in parsed[folder]["output"].items():
        assert "description" in output, name


@pytest.mark.parametrize("folder", ROOTS)
def test_modules_are_given_what_they_ask_for(parsed: Any, folder: str) -> None:
    asked = parsed["modules/github_identity"]["variable"]
    for name, module in parsed[folder]["module"].items():
        assert module["source"] == "../modules/github_identity"
        given = {key for key in module if not key.startswith("__")} - {"source"}
        assert given == set(asked), name


def examples(terraform: Path) -> list[Path]:
    return sorted(terraform.rglob("*.tfvars.example"))


def test_examples_give_what_is_asked_for(terraform: Path, parsed: Any) -> None:
    assert {file.name.partition(".")[0] for file in examples(terraform)} == {"build", "dev", "staging", "prod"}
    for file in examples(terraform):
        variables = parsed[file.parent.name]["variable"]
        given = set(re.findall(r"(?m)^(\w+)\s*=", file.read_text()))
        assert given <= set(variables), file
        assert {name for name, variable in variables.items() if "default" not in variable} <= given, file
        assert file.with_name(file.name.replace("tfvars", "gcs.tfbackend")).exists()


def test_environments_have_a_project_a_bucket_and_a_state_each(terraform: Path) -> None:
    for key in ("project", "bucket"):
        files = [file for file in examples(terraform) if file.parent.name == "environment"]
        values = [re.findall(rf'(?m)^{key}\s*=\s*"(.+)"', file.read_text()) for file in files]
        assert len({one for (one,) in values}) == 3
    states = [file.read_text() for file in terraform.rglob("*.tfbackend.example")]
    assert len(set(states)) == len(states) == 4


def roles(terraform: Path) -> set[str]:
    return {role for folder in FOLDERS for role in re.findall(r'"(roles/[\w.]+)"', code(terraform / folder))}


def test_rights_are_the_least_and_nobody_has_a_key(terraform: Path, parsed: Any) -> None:
    assert not roles(terraform) & {"roles/owner", "roles/editor", "roles/viewer"}
    assert not [role for role in roles(terraform) if role.lower().endswith("admin")]
    kinds = {name.partition(".")[0] for folder in FOLDERS for name in parsed[folder]["resource"]}
    assert "google_service_account_key" not in kinds
    assert not [kind for kind in kinds if kind.endswith(("_iam_policy", "_iam_binding"))]  # they take away what others granted
    for folder in FOLDERS:
        assert "allUsers" not in code(terraform / folder)
        assert "allAuthenticatedUsers" not in code(terraform / folder)


def test_every_api_that_is_used_is_enabled(terraform: Path, parsed: Any) -> None:
    for folder in ROOTS:
        enabled = set(re.findall(r'"([a-z]+)\.googleapis\.com"', code(terraform / folder)))
        for name in parsed[folder]["resource"]:
            starts = [start for start in APIS if name.startswith(start)]
            if starts:
                assert APIS[max(starts, key=len)] in enabled, (folder, name)


def test_documentation_names_every_account_with_exactly_its_roles(terraform: Path, parsed: Any, repository: Path) -> None:
    page = (repository / "deploy" / "terraform" / "README.md").read_text()
    told = {
        account: sorted(re.findall(r"`(roles/[\w.]+)`", may))
        for account, may in re.findall(r"(?m)^\| `([\w-]+)` \|[^|]*\|(.*)\|$", page)
    }
    granted = grants(parsed["environment"])
    assert set(granted) == set(parsed["environment"]["locals"]["accounts"])
    assert {account: rights for account, rights in told.items() if account != "builder"} == granted
    assert set(re.findall(r"`(roles/[\w.]+)`", page)) == roles(terraform)


def grants(blocks: Any) -> dict[str, list[str]]:
    """Return {account: its roles} of an environment, one for each place where it has it."""
    local = blocks["locals"]
    found = {account: list(local["project_roles"].get(account, [])) for account in local["accounts"]}
    for name, body in blocks["resource"].items():
        if "_iam_member." not in name or name == "google_project_iam_member.accounts":
            continue
        each = body.get("for_each", "")
        granted = re.findall(r"roles/[\w.]+", str(each)) if body["role"] == "${each.value}" else [body["role"]]
        if fixed := re.fullmatch(r'\$\{google_service_account\.accounts\["([\w-]+)"\]\.member\}', body["member"]):
            found[fixed[1]] += granted
        elif body["member"] == "${google_service_account.accounts[each.key].member}":
            for account in re.findall(r'"([\w-]+)"', str(local[re.search(r"local\.(\w+)", each)[1]])):
                found[account] += granted
    return {account: sorted(each) for account, each in found.items()}


def test_bucket_keeps_versions_and_is_nobody_elses(parsed: Any) -> None:
    bucket = parsed["environment"]["resource"]["google_storage_bucket.pipelines"]
    assert bucket["public_access_prevention"] == "enforced"
    assert (bucket["uniform_bucket_level_access"], bucket["force_destroy"]) == (True, False)
    assert [each["enabled"] for each in bucket["versioning"]] == [True]
    assert [each["prevent_destroy"] for each in bucket["lifecycle"]] == [True]


def test_nothing_calls_the_function_before_it_may(parsed: Any) -> None:
    resources = parsed["environment"]["resource"]
    needed = {
        "google_eventarc_trigger.objects": (
            "google_cloud_run_v2_service_iam_member.calls",
            "google_project_iam_member.accounts",
            "google_project_iam_member.storage_agent",
        ),
        "google_cloudfunctions2_function.retrain": ("google_project_iam_member.accounts",),
    }
    for name, rights in needed.items():
        assert {f"${{{right}}}" for right in rights} <= set(resources[name]["depends_on"]), name


def test_alerts_tell_what_fails_a_job(terraform: Path) -> None:
    text = (terraform / "environment" / "alerts.tf").read_text()
    assert "PIPELINE_STATE_FAILED" in text
    assert "A gate that is not passed fails no job" in text


def test_function_is_given_what_it_reads(terraform: Path, repository: Path) -> None:
    settings = (repository / "deploy" / "functions" / "retrain" / "settings.py").read_text()
    given = set(re.findall(r"(?m)^\s+([A-Z_]+)\s+=", (terraform / "environment" / "retrain.tf").read_text()))
    read = set(re.findall(r'"([A-Z_]{4,})"', settings))
    assert read - {"JOB_OBJECT"} == given


@pytest.mark.parametrize(
    ("environment", "said"), [("", "Expected build, dev, staging or prod"), ("dev", "copy dev.tfvars.example")]
)
def test_make_target_says_what_it_needs(repository: Path, environment: str, said: str, tmp_path: Path) -> None:
    shutil.copytree(repository / "deploy" / "terraform", tmp_path / "deploy" / "terraform")
    shutil.copytree(repository / "tools", tmp_path / "tools")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "terraform").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "bin" / "terraform").chmod(0o755)
    path = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    done = run("bash", "tools/terraform.sh", environment, "plan", cwd=tmp_path, env=path)
    assert done.returncode == 2
    assert said in done.stderr
