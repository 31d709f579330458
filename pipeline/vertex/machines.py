"""Machine: what a stage, a worker or a server runs on, checked as far as that can be done without asking Google."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from typing import Any, Literal

import pydantic

from pipeline.vertex.catalogue import ATTACHABLE, Shape, accelerators, is_tpu, machine_types, takes_accelerators


class Accelerator(pydantic.BaseModel):
    """GPUs of one type."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    type: str
    count: int = pydantic.Field(1, ge=1)

    @pydantic.field_validator("type")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in accelerators():
            raise ValueError(f"unknown accelerator '{name}'.{_did_you_mean(name, accelerators())}")
        return name


class Disk(pydantic.BaseModel):
    """The boot disk of a machine."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    type: Literal["pd-ssd", "pd-standard", "hyperdisk-balanced"] = "pd-ssd"
    size_gb: int = pydantic.Field(100, ge=100, le=64000)


class Machine(pydantic.BaseModel):
    """A type of machine with what is attached to it."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    machine_type: str = pydantic.Field(..., description="Such as n1-standard-8, g2-standard-24 or ct5lp-hightpu-4t.")
    accelerator: Accelerator | None = pydantic.Field(None, description="GPUs. Machines that have theirs built in need none.")
    tpu_topology: str | None = pydantic.Field(None, pattern=r"^\d+x\d+(x\d+)?$", description="Of a TPU VM, such as 2x2.")
    disk: Disk | None = None

    @pydantic.field_validator("machine_type")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in machine_types():
            raise ValueError(f"unknown machine type '{name}'.{_did_you_mean(name, machine_types())}")
        return name

    @pydantic.model_validator(mode="before")
    @classmethod
    def _built_in(cls, values: Any) -> Any:
        """Name the GPUs that a machine has built in, so that everybody finds them in one place."""
        if isinstance(values, dict) and not values.get("accelerator"):
            name = values.get("machine_type")
            shape = machine_types().get(name) if isinstance(name, str) else None
            if shape and shape.accelerator and not is_tpu(str(name)):
                return {**values, "accelerator": {"type": shape.accelerator, "count": shape.num_accelerators}}
        return values

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Machine:
        if is_tpu(self.machine_type):
            self._check_tpu()
        elif self.tpu_topology:
            raise ValueError(f"tpu_topology is of TPU VMs such as ct5lp-hightpu-4t; {self.machine_type} is none.")
        elif self.accelerator:
            self._check_accelerator(self.accelerator)
        return self

    def _check_tpu(self) -> None:
        if self.accelerator:
            raise ValueError(f"{self.machine_type} is a TPU VM and takes no {self.accelerator.type}. Leave `accelerator` out.")
        chips = self.shape.num_accelerators
        asked = math.prod(int(side) for side in re.findall(r"\d+", self.tpu_topology or ""))
        if not self.tpu_topology or asked != chips:
            found = f"'{self.tpu_topology}' of {asked}" if self.tpu_topology else "none"
            raise ValueError(
                f"tpu_topology: expected one of {chips} chip(s), which {self.machine_type} has, found {found}. "
                "Slices over several machines are not supported: TensorFlow's TPUStrategy wants them in one."
            )

    def _check_accelerator(self, accelerator: Accelerator) -> None:
        built_in = self.shape
        if built_in.accelerator:
            if (accelerator.type, accelerator.count) != (built_in.accelerator, built_in.num_accelerators):
                raise ValueError(
                    f"{self.machine_type} has {built_in.num_accelerators} x {built_in.accelerator} built in, found "
                    f"{accelerator.count} x {accelerator.type}. Leave `accelerator` out."
                )
            return
        if accelerator.type not in ATTACHABLE:
            homes = [name for name, shape in machine_types().items() if shape.accelerator == accelerator.type]
            raise ValueError(
                f"{accelerator.type} cannot be attached to {self.machine_type}. It is part of {', '.join(homes)}: name one."
            )
        if not takes_accelerators(self.machine_type):
            raise ValueError(f"no accelerator can be attached to {self.machine_type}. Use an n1 machine such as n1-standard-8.")
        if accelerator.count not in ATTACHABLE[accelerator.type]:
            counts = ", ".join(map(str, ATTACHABLE[accelerator.type]))
            raise ValueError(f"expected {counts} x {accelerator.type} on a machine, found {accelerator.count}.")

    @property
    def shape(self) -> Shape:
        return machine_types()[self.machine_type]

    @property
    def is_tpu(self) -> bool:
        return is_tpu(self.machine_type)

    @property
    def num_gpus(self) -> int:
        return self.accelerator.count if self.accelerator else 0

    @property
    def text(self) -> str:
        """The machine in a few words."""
        extra = f" + {self.accelerator.count} x {self.accelerator.type}" if self.accelerator else ""
        return f"{self.machine_type}{extra}" + (f" {self.tpu_topology}" if self.tpu_topology else "")

    def spec(self) -> dict[str, Any]:
        """Return a MachineSpec of the API in its REST form."""
        spec: dict[str, Any] = {"machineType": self.machine_type}
        if self.accelerator:
            spec |= {"acceleratorType": self.accelerator.type, "acceleratorCount": self.accelerator.count}
        return spec | ({"tpuTopology": self.tpu_topology} if self.tpu_topology else {})


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name.lower(), {each.lower(): each for each in known}, 1, cutoff=0.5)
    original = {each.lower(): each for each in known}
    suggestion = f" Did you mean '{original[close[0]]}'?" if close else ""
    return f"{suggestion} pipeline/vertex/catalogue.py lists those that this project knows."
