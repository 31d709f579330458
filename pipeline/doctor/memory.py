"""Whether a run fits into memory: the machine's, and what a container is allowed of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

# A run of the taxi pipeline, edge models included, peaks at 1.3 GiB; of a hundred times its rows also (docs/performance.md).
LEAST_BYTES = 3 * 2**29
# Two stages at a time, and room for the page cache: what `pipeline.local.scheduling` counts with.
ENOUGH_BYTES = 3 * 2**30
_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Memory:
    """Bytes; limit and used are those of the container's or service's control group, None without a limit."""

    total: int
    available: int
    limit: int | None = None
    used: int | None = None

    @property
    def free(self) -> int:
        """What a new process can have."""
        return self.available if self.limit is None else min(self.available, max(self.limit - (self.used or 0), 0))


def check_memory(subject: Subject) -> Iterator[Finding]:
    """Compare what is free with what a run takes."""
    import psutil

    machine = psutil.virtual_memory()
    membership = _MEMBERSHIP.read_text("utf-8") if _MEMBERSHIP.exists() else ""
    limit, used = cgroup_memory(membership, _CGROUPS, machine.total)
    yield judge_memory(Memory(machine.total, machine.available, limit, used))


def judge_memory(memory: Memory) -> Finding:
    """Say whether a run fits."""
    found = f"{_gb(memory.free)} free of {_gb(memory.total)}"
    cure = "End other programs, or use a larger machine."
    if memory.limit is not None:
        found = f"{_gb(memory.free)} free of the {_gb(memory.limit)} that this container may use, of {_gb(memory.total)}"
        cure = "Raise the container's limit (docker run --memory=4g, or resources.limits.memory), or end other programs in it."
    if memory.free < LEAST_BYTES:
        return problem(
            "memory", f"{found}; a run takes about 1.3 GB, more with larger data: expected {_gb(LEAST_BYTES)}.", cure
        )
    if memory.free < ENOUGH_BYTES:
        return warning("memory", f"{found}; with less than {_gb(ENOUGH_BYTES)} it may get tight.", f"Run with --jobs 1. {cure}")
    return ok("memory", found)


def cgroup_memory(membership: str, mount: Path, total: int) -> tuple[int | None, int | None]:
    """Return the lowest memory limit, in bytes, of the control groups a process is in, and what that group uses of it.

    Args:
      membership: content of /proc/self/cgroup.
      mount: where control groups are mounted; version 1 has a folder `memory` there.
      total: the machine's memory; limits beyond it are none.
    """
    lowest: tuple[int, int] | None = None
    for folder, limit_file, used_file, cache_key in _groups(membership, mount):
        text = _read(folder / limit_file)
        if text.isdecimal() and int(text) < total and (lowest is None or int(text) < lowest[0]):
            used = int(_read(folder / used_file) or 0) - _cache(_read(folder / "memory.stat"), cache_key)
            lowest = int(text), max(used, 0)
    return lowest or (None, None)


def _groups(membership: str, mount: Path) -> Iterator[tuple[Path, str, str, str]]:
    """Yield each group with the names of its files: a limit on any group above counts as well."""
    for line in membership.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            base, files = mount, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base, files = mount / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = base / path.lstrip("/")
        while True:  # a container may not see the folders that its own path names, but always the uppermost
            yield group, *files
            if group == base:
                break
            group = group.parent


def _cache(statistics: str, key: str) -> int:
    """Return the bytes of the page cache that the kernel gives back for the asking."""
    return next((int(line.split()[1]) for line in statistics.splitlines() if line.split()[0] == key), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.1f} GB"
