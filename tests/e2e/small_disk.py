"""A file system of a few megabytes for pipelines to run out of.

It is a tmpfs in a mount namespace of its own, which any user may make where user namespaces are allowed. A process inside takes
orders from the test, which cannot see the file system: it gets copies of roots.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faulty_runs import run_harmed
from pipeline_runs import Finished, run_here

_REPOSITORY = Path(__file__).resolve().parents[2]
# As anybody; and as root where there are no user namespaces, such as in another root folder.
_WAYS = (["unshare", "--user", "--map-root-user", "--mount"], ["unshare", "--mount"])


@functools.cache
def _unshare() -> tuple[list[str], str | None]:
    """Return a command that gives another one a mount namespace, and why there is none."""
    if not shutil.which("unshare"):
        return [], "there is no unshare"
    for way in _WAYS:
        tried = subprocess.run([*way, "true"], capture_output=True, text=True, check=False)
        if not tried.returncode:
            return way, None
    return [], tried.stderr.strip() or "unshare failed"


def cannot_be_made() -> str | None:
    """Return why there can be no such file system here, None when there can."""
    return _unshare()[1]


class SmallDisk:
    """A tmpfs: the test's side. `root` and `filler` are on it."""

    def __init__(self, folder: Path, config: Path):
        """Start the process inside; `mount` comes next.

        Args:
          folder: for the mount point and for copies.
          config: what is run.
        """
        folder.mkdir()
        self._folder, self._config, self._num_copies = folder, config, 0
        path = [str(Path(__file__).parent), str(_REPOSITORY)]
        serve = f"import sys; sys.path[:0] = {path}; import small_disk; small_disk.serve(sys.argv[1])"
        command = [*_unshare()[0], sys.executable, "-c", serve, str(folder / "disk")]
        self._process = subprocess.Popen(command, cwd=_REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def mount(self, size: str) -> None:
        """Begin with an empty file system.

        Args:
          size: such as "96m".
        """
        self._ask("mount", size=size)

    def remount(self, options: str) -> None:
        """Change it: "size=128m", "ro"."""
        self._ask("remount", options=options)

    def remove_filler(self) -> None:
        self._ask("remove_filler")

    def run(self) -> Finished:
        """Run the pipeline; what it left lies in a copy of the root."""
        return self._finished("run")

    def run_harmed(self, harm: dict[str, Any]) -> Finished:
        """Run it in a process of its own, with harm as of faults/sitecustomize.py."""
        return self._finished("run_harmed", harm=harm)

    def close(self) -> None:
        """End the process inside, and the file system with it."""
        self._process.stdin.close()
        self._process.wait(60)

    def _finished(self, order: str, **arguments: Any) -> Finished:
        self._num_copies += 1
        copy = self._folder / f"copy-{self._num_copies}"
        answer = self._ask(order, config=str(self._config), copy=str(copy), **arguments)
        return Finished.read(answer["code"], answer["output"], copy)

    def _ask(self, order: str, **arguments: Any) -> dict[str, Any]:
        self._process.stdin.write(json.dumps([order, arguments]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The process on the small disk ended with {self._process.wait()} over {order} {arguments}.")
        return json.loads(answer)


class _Inside:
    """The side of the process that sees the file system."""

    def __init__(self, disk: Path):
        self._disk, self._root = disk, disk / "root"

    def mount(self, size: str) -> None:
        if self._disk.exists():
            # Lazily: the processes of stages, which are shared, keep the log of the first run.
            subprocess.run(["umount", "--lazy", self._disk], check=True)
        self._disk.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self._disk], check=True)

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", self._disk], check=True)

    def remove_filler(self) -> None:
        (self._disk / "filler").unlink()

    def run(self, config: str, copy: str) -> dict[str, Any]:
        return self._left(run_here(Path(config), self._root, printed=self._disk.with_name("output.txt")), copy)

    def run_harmed(self, config: str, copy: str, harm: dict[str, Any]) -> dict[str, Any]:
        filler = str(self._disk / "filler")
        return self._left(run_harmed(_REPOSITORY, Path(config), self._root, harm, FAULT_FILL=filler), copy)

    def _left(self, finished: Finished, copy: str) -> dict[str, Any]:
        if self._root.exists():
            shutil.copytree(self._root, copy, symlinks=True)
        return {"code": finished.code, "output": finished.output}


def serve(disk: str) -> None:
    """Take orders, a JSON line each, until there are no more."""
    inside, answers = _Inside(Path(disk)), sys.stdout
    for line in sys.stdin:
        order, arguments = json.loads(line)
        carry_out: Callable[..., dict[str, Any] | None] = getattr(inside, order)
        print(json.dumps(carry_out(**arguments)), file=answers, flush=True)
