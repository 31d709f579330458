"""Every check there is, in the order they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipeline.doctor import (
    account,
    bucket,
    cloud,
    disk,
    experiment,
    image,
    interpreter,
    memory,
    network,
    packages,
    query,
    quota,
    regional,
    rights,
    root,
    schema,
    services,
    wheels,
)
from pipeline.doctor.findings import REPAIR, Finding, problem, warning
from pipeline.doctor.subject import Subject

Look: TypeAlias = Callable[[Subject], Iterator[Finding]]


@dataclass(frozen=True)
class Check:
    """A thing to look at.

    Attributes:
      look: yields at least one finding.
      doing: said while a check that takes seconds is made; "" for a quick one.
      given: what must be given for it to be made at all.
      after: checks that must not have found a problem: it would only find the same again, or crash.
    """

    look: Look
    doing: str = ""
    given: Literal["config", "runtime"] | None = None
    after: tuple[str, ...] = ()


CHECKS: Mapping[str, Check] = {
    "interpreter": Check(interpreter.check_interpreter),
    "processor": Check(interpreter.check_processor),
    "glibc": Check(interpreter.check_glibc),
    "packages": Check(packages.check_packages),
    "memory": Check(memory.check_memory),
    "wheels": Check(wheels.check_wheels, "loading TensorFlow and other native wheels, in a process of their own"),
    "config": Check(experiment.check_config, given="config"),
    "disk": Check(disk.check_disk),
    "root": Check(root.check_root, "looking at the root and its ML Metadata"),
    "space": Check(disk.check_space, given="config", after=("wheels", "config", "disk")),
    "data": Check(experiment.check_data, "reading the data", "config", ("wheels", "config")),
    "schema": Check(schema.check_schema, "comparing the schema with the data", "config", ("wheels", "config")),
    "runtime": Check(cloud.check_runtime, "reading the runtime file", "runtime"),
    "credentials": Check(cloud.check_credentials, "looking for Google credentials", "runtime"),
    "bucket": Check(bucket.check_bucket, "asking for the bucket", "runtime", ("runtime", "credentials")),
    "services": Check(services.check_services, "asking which APIs are enabled", "runtime", ("runtime", "credentials")),
    "image": Check(image.check_image, "asking for the image", "runtime", ("runtime", "credentials")),
    "rights": Check(rights.check_rights, "asking what these credentials may do", "runtime", ("runtime", "credentials")),
    "account": Check(account.check_account, "asking for the service account", "runtime", ("runtime", "credentials")),
    "quota": Check(quota.check_quota, "asking for quota", "runtime", ("runtime", "credentials")),
    "network": Check(network.check_network, "asking for the network", "runtime", ("runtime", "credentials")),
    "tensorboard": Check(regional.check_tensorboard, "asking for the TensorBoard", "runtime", ("runtime", "credentials")),
    "query": Check(query.check_query, "having BigQuery plan the query", "runtime", ("config", "runtime", "credentials")),
    "key": Check(regional.check_key, "asking for the encryption key", "runtime", ("runtime", "credentials")),
}


def examine(subject: Subject, say_doing: Callable[[str, str], None] = lambda name, doing: None) -> Iterator[Finding]:
    """Make every check that applies; one that fails itself is a problem, and does not keep the others from being made.

    Args:
      subject: what is examined.
      say_doing: is told the name of a check that takes seconds, and what it does, before it is made.
    """
    failed: set[str] = set()
    for name, check in CHECKS.items():
        if check.given and getattr(subject, check.given) is None:
            continue
        if before := [one for one in check.after if one in failed]:
            yield warning(name, f"Not looked at: it takes what `{before[0]}` has a problem with.", f"See `{before[0]}` above.")
            continue
        if check.doing:
            say_doing(name, check.doing)
        for finding in _make(name, check, subject):
            if finding.state == "problem":
                failed.add(name)
            yield finding


def _make(name: str, check: Check, subject: Subject) -> Iterator[Finding]:
    try:
        yield from check.look(subject)
    except ImportError as error:
        yield problem(name, f"It could not be checked: {type(error).__name__}: {error}", REPAIR)
    except Exception as error:
        yield problem(
            name,
            f"It could not be checked: {type(error).__name__}: {error}",
            "The other checks are not touched by it. If its words do not help, report them as a mistake of this program.",
        )
