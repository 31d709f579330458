"""The rehearsal's stand-in registers as the service does, from the routes of the client library."""

from __future__ import annotations

import pytest

from pipeline.registering import Pushed, Registry
from pipeline.vertex import registry
from pipeline.vertex.registry import Registered, register
from pipeline.vertex.serving_api import ServingApi
from pipeline.vertex.stand_in.server import StandIn

TAXI = "projects/my-project/locations/europe-west4/models/taxi"


def test_versions_aliases_and_labels(place: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    with StandIn("my-project", "europe-west4") as stand_in:
        monkeypatch.setenv("AIPLATFORM_ENDPOINT", stand_in.endpoint)
        api = ServingApi(place.location)
        pushes = [Pushed(f"gs://b/taxi/{n}", f"{n}" * 64, f"{n}" * 64, {"run": f"run-{n}"}, f"auc 0.9{n}") for n in (1, 2)]
        assert [register(api, place, push).version for push in (*pushes, pushes[1])] == ["1", "2", "2"]
        first, second = registry.versions_of(api, TAXI)
        assert (first.aliases, second.aliases) == (("default",), ("candidate",))
        registry.move_aliases(api, TAXI, second, ["champion", "default"])
        registry.label(api, first, {"withdrawn": "20260101t000000z"}, "Withdrawn.")
        first, second = registry.versions_of(api, TAXI)
        assert (first.aliases, second.aliases) == ((), ("candidate", "champion", "default"))
        assert (first.labels["run"], first.labels["withdrawn"]) == ("run-1", "20260101t000000z")
        assert first.description == "Withdrawn. auc 0.91"
        assert isinstance(register(api, place, pushes[0]), Registered)
        assert [call.name for call in stand_in.calls].count("UploadModel") == 2
