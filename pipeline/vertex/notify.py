"""Notification: who is told how a job on Vertex AI ended. Values only; `pipeline.vertex.notifying` sends."""

from __future__ import annotations

from typing import Literal

import pydantic

Outcome = Literal["failed", "not_blessed", "interrupted", "succeeded"]


class Notify(pydantic.BaseModel):
    """Who is told how a job ended: a Pub/Sub topic, a chat, or both."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    on: tuple[Outcome, ...] = pydantic.Field(("failed", "not_blessed"), description="Ends that are told.", min_length=1)
    topic: str | None = pydantic.Field(
        None, pattern=r"^projects/[^/]+/topics/[^/]+$", description="Pub/Sub: gets a JSON document for programs."
    )
    webhook_secret: str | None = pydantic.Field(
        None,
        pattern=r"^projects/[^/]+/secrets/[^/]+$",
        description='Of Secret Manager. Its newest version is an address that {"text": ...} is posted to: Slack, Google Chat.',
    )

    @pydantic.model_validator(mode="after")
    def _somebody(self) -> Notify:
        if not (self.topic or self.webhook_secret):
            raise ValueError("nobody would be told. Name a `topic`, a `webhook_secret`, or leave `notify` out.")
        return self
