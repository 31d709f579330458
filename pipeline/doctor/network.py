"""The networks of a runtime: Private Service Connect, a peered VPC, Dataflow's subnetwork."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.doctor.cloud import Answer, unreachable_is_told
from pipeline.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

_PEERING = "servicenetworking-googleapis-com"


@unreachable_is_told("network")
def check_network(subject: Subject) -> Iterator[Finding]:
    """Ask the Compute API for each that is named."""
    runtime = subject.vertex
    if runtime.network and (attachment := runtime.network.psc_attachment):
        yield from _attachment(subject, attachment)
    if runtime.network and (name := runtime.network.name):
        yield from _peered(subject, name)
        for address_range in runtime.network.reserved_ip_ranges:
            yield from _reserved(subject, name, address_range)
    if runtime.dataflow and runtime.dataflow.subnetwork:
        yield from _subnetwork(subject, runtime.dataflow.subnetwork, runtime.dataflow.public_ips)
    elif runtime.dataflow:
        yield from _default(subject)


def _ask(subject: Subject, name: str) -> Answer:
    return subject.cloud.ask("GET", f"{subject.endpoints.compute}/compute/v1/{name}")


def _attachment(subject: Subject, name: str) -> Iterator[Finding]:
    region, own = name.split("/")[3], subject.vertex.region
    create = f"gcloud compute network-attachments create {_short(name)} {_where(name)} --region={own} --subnets=SUBNETWORK"
    if region != own:
        yield problem("network", f"{name} is in {region}, the pipeline runs in {own}.", f"{create}, and name that one.")
        return
    answer = _ask(subject, name)
    if finding := _not_there(answer, name, create):
        yield finding
    elif answer.document.get("connectionPreference") != "ACCEPT_MANUAL":
        yield ok("network", f"{name} is there and accepts connections")
    elif listed := answer.document.get("producerAcceptLists"):
        yield ok("network", f"{name} is there and accepts {', '.join(listed)}; whether Vertex AI is one of them is not seen")
    else:
        yield warning(
            "network",
            f"{name} accepts only projects that are listed, and lists none.",
            f"gcloud compute network-attachments update {_short(name)} {_where(name)} --region={own} "
            "--producer-accept-list=PROJECT_OF_VERTEX_AI; or create it with --connection-preference=ACCEPT_AUTOMATIC.",
        )


def _peered(subject: Subject, name: str) -> Iterator[Finding]:
    answer = _ask(subject, name)
    if finding := _not_there(answer, name, f"gcloud compute networks create {_short(name)} {_where(name)}"):
        yield finding
        return
    peerings = {peering.get("name"): peering.get("state") for peering in answer.document.get("peerings", ())}
    if peerings.get(_PEERING) == "ACTIVE":
        yield ok("network", f"{name} is there and peered with Google's services")
    else:
        yield problem(
            "network",
            f"{name} is not peered with Google's services, so that no job can join it.",
            f"gcloud services vpc-peerings connect --service=servicenetworking.googleapis.com "
            f"--network={_short(name)} {_where(name)} --ranges=RESERVED_RANGE",
        )


def _reserved(subject: Subject, network: str, address_range: str) -> Iterator[Finding]:
    """Look for a range that jobs in a peered network take their addresses from."""
    name = f"projects/{network.split('/')[1]}/global/addresses/{address_range}"
    answer = _ask(subject, name)
    create = (
        f"gcloud compute addresses create {address_range} {_where(name)} --global --prefix-length=16 --purpose=VPC_PEERING "
        f"--network={_short(network)}"
    )
    if finding := _not_there(answer, name, create):
        yield finding
    elif (purpose := answer.document.get("purpose")) != "VPC_PEERING":
        yield problem(
            "network", f"{name} is reserved for {purpose}, not for VPC_PEERING.", create.replace(address_range, "NAME")
        )
    else:
        yield ok("network", f"{name} is there")


def _default(subject: Subject) -> Iterator[Finding]:
    """Look for the network that Dataflow takes where none is named: https://cloud.google.com/dataflow/docs/guides/specifying-networks"""
    project, region = subject.vertex.project, subject.vertex.region
    name = f"projects/{project}/global/networks/default"
    cure = "Name one of its own in the runtime file: dataflow: {subnetwork: regions/" + region + "/subnetworks/NAME}."
    answer = _ask(subject, name)
    if answer.status == 404:
        yield problem("network", f"Dataflow's workers would run in {name}, which does not exist.", cure)
    elif finding := _not_there(answer, name, cure):
        yield finding
    elif not answer.document.get("autoCreateSubnetworks"):
        yield problem(
            "network", f"{name} has no subnetworks of its own making, so that Dataflow has to be told which to use.", cure
        )
    else:
        yield ok("network", f"{name} is there, for Dataflow's workers")


def _subnetwork(subject: Subject, given: str, public_ips: bool) -> Iterator[Finding]:
    runtime = subject.vertex
    found = re.search(r"(?:projects/(?P<project>[^/]+)/)?regions/(?P<region>[^/]+)/subnetworks/(?P<name>[^/]+)$", given)
    assert found  # the runtime file's own pattern
    project, region, subnetwork = found["project"] or runtime.project, found["region"], found["name"]
    name = f"projects/{project}/regions/{region}/subnetworks/{subnetwork}"
    if region != runtime.region:
        yield problem(
            "network", f"{name} is not in {runtime.region}, where Dataflow runs.", "Name a subnetwork of that region."
        )
        return
    answer = _ask(subject, name)
    create = (
        f"gcloud compute networks subnets create {subnetwork} {_where(name)} --region={region} --network=NETWORK --range=RANGE"
    )
    if finding := _not_there(answer, name, create):
        yield finding
    elif not public_ips and not answer.document.get("privateIpGoogleAccess"):
        yield problem(
            "network",
            f"{name} has no Private Google Access: workers without public addresses could not reach the bucket.",
            f"gcloud compute networks subnets update {subnetwork} {_where(name)} --region={region} "
            "--enable-private-ip-google-access",
        )
    else:
        yield ok("network", f"{name} is there")


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _where(name: str) -> str:
    return f"--project={name.split('/')[1]}"


def _not_there(answer: Answer, name: str, create: str) -> Finding | None:
    """Return what is to be said of an answer that has no resource, None for one that has."""
    if answer.status == 404:
        return problem("network", f"{name} does not exist.", create)
    if answer.status != 200:
        cure = answer.cure("Look again, or have somebody look who may.")
        return warning("network", f"{name} cannot be looked at: {answer.message}.", cure)
    return None
