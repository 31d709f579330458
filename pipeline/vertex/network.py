"""Network: how the machines of a job reach what is not on the internet."""

from __future__ import annotations

from typing import Any

import pydantic


class Network(pydantic.BaseModel):
    """How jobs reach what is not on the internet: by a peered VPC, or by Private Service Connect."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    name: str | None = pydantic.Field(
        None, pattern=r"^projects/\d+/global/networks/[^/]+$", description="With the project's number."
    )
    reserved_ip_ranges: tuple[str, ...] = ()
    psc_attachment: str | None = pydantic.Field(
        None, pattern=r"^projects/[^/]+/regions/[^/]+/networkAttachments/[^/]+$", description="Instead of `name`."
    )

    @pydantic.model_validator(mode="after")
    def _one_of_both(self) -> Network:
        if bool(self.name) == bool(self.psc_attachment):
            raise ValueError("expected `name` (a peered VPC) or `psc_attachment`, one of the two.")
        if self.reserved_ip_ranges and not self.name:
            raise ValueError("reserved_ip_ranges are of a peered VPC: give `name`, or leave them out.")
        return self

    def fields(self) -> dict[str, Any]:
        """Return what jobs of the API say of it, in their REST form."""
        if self.psc_attachment:
            return {"pscInterfaceConfig": {"networkAttachment": self.psc_attachment}}
        ranges = {"reservedIpRanges": list(self.reserved_ip_ranges)} if self.reserved_ip_ranges else {}
        return {"network": self.name} | ranges
