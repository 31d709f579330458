"""Deploy, promote, roll back: each step may be repeated, and what serves changes in one request or not at all.

Each command looks at what there is, decides, and asks; when somebody else changes the endpoint meanwhile it looks again. A
command that is interrupted is finished by the same command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError
from pipeline.registering import DEFAULT_ALIAS, PROMOTED_LABEL, WITHDRAWN_LABEL, label_value
from pipeline.vertex import endpoints, registry
from pipeline.vertex.served import Retreat, Served, Version, refuse_withdrawn
from pipeline.vertex.serving_api import ServingApi, until_undisturbed
from pipeline.vertex.traffic import ALL, NEW, with_canary

if TYPE_CHECKING:
    from pipeline.vertex.runtime import VertexRuntime

Say = Callable[[str], None]
REASON_LABEL = "withdrawn_reason"


@dataclass(frozen=True)
class Place:
    """Where versions serve, and how one is told of it."""

    api: ServingApi
    runtime: VertexRuntime
    say: Say

    def look(self) -> Served:
        return endpoints.read_served(self.api, self.runtime)


def deploy(place: Place, asked: str | None, percent: int | None, wait: bool) -> None:
    """Deploy a version beside what serves, with a share of the traffic.

    Args:
      place: of the endpoint, which is made if it is not there.
      asked: version or alias; None: the first of `serving.aliases`.
      percent: of the traffic; None: `serving.endpoint.canary_percent`. The first version of all gets everything.
      wait: until it serves.

    Raises:
      ConfigError: there is no such version, or it was withdrawn.
    """
    serving, _ = endpoints.serving_of(place.runtime)
    percent = endpoints.endpoint_of(serving).canary_percent if percent is None else percent
    if asked is None and not serving.aliases:
        raise ConfigError("`serving.aliases` is empty, so nothing says which version is meant. Add --version.")
    operation = until_undisturbed(lambda: _deploy(place, asked or serving.aliases[0], percent))
    if operation is not None:
        place.say(f"Operation {operation.operation.name}: minutes, as machines start. The traffic changes when they answer.")
        if wait:
            place.api.finish(operation)
            show(place)


def _deploy(place: Place, asked: str, percent: int) -> Any:
    """Send what is missing; return the operation, None if nothing has to be waited for."""
    served = place.look()
    version = served.find(asked)
    refuse_withdrawn(version)
    if deployed := served.deployed_of(version):
        split = with_canary(served.split, deployed.id, percent)
        endpoints.set_traffic(place.api, place.runtime, served, split)
        place.say(f"Version {version.id} is deployed already: {_percent(split.get(deployed.id, 0))} of the traffic.")
        return None
    split = with_canary(served.split, NEW, percent)
    place.say(f"Version {version.id} gets {_percent(split.get(NEW, 0))} of the traffic{_rest(served, split)}.")
    endpoint = served.endpoint or endpoints.make_endpoint(place.api, place.runtime)
    return endpoints.deploy_version(place.api, place.runtime, endpoint, version, split)


def promote(place: Place, canary: Version) -> None:
    """Give a version all traffic, make it the champion, and give back the machines of others but the champion before.

    That one stays deployed without traffic, so that a rollback takes seconds. It costs its smallest number of replicas, until
    the next promotion.
    """
    before = place.look().champion

    def switch() -> None:
        served = place.look()
        deployed = served.deployed_of(canary)
        if not deployed:
            raise ConfigError(f"Version {canary.id} is not deployed any more. First: deploy --version {canary.id}")
        endpoints.set_traffic(place.api, place.runtime, served, {deployed.id: ALL})

    until_undisturbed(switch)
    place.say(f"Version {canary.id} has all traffic.")
    registry.label(place.api, canary, {PROMOTED_LABEL: _now()})
    _crown(place, canary)
    kept = [canary] + ([before] if before else [])
    for gone in endpoints.undeploy(place.api, place.look(), kept):
        place.say(f"Version {gone.version} is not deployed any more.")
    if before and before.id != canary.id:
        place.say(f"Version {before.id} stays deployed without traffic, for `rollback`.")


def roll_back(place: Place, asked: str | None, reason: str) -> Retreat:
    """Give the traffic back to the version before, move the aliases, and withdraw what served instead of it.

    The withdrawal is written down first, so that whoever comes after an interruption knows what was meant; if that is refused,
    the traffic moves all the same and the refusal is told at the end.

    Raises:
      ConfigError: there is nothing to go back to.
    """
    from google.api_core import exceptions

    retreat = place.look().retreat(asked)
    refusal: exceptions.GoogleAPICallError | None = None
    for version in retreat.withdrawn:
        if not version.is_withdrawn:
            at = _now()
            note = f"Withdrawn {at}{': ' if reason else '.'}{reason}"
            try:
                marks = {WITHDRAWN_LABEL: at, REASON_LABEL: label_value(reason)}
                registry.label(place.api, version, {key: text for key, text in marks.items() if text}, note)
            except exceptions.GoogleAPICallError as error:
                refusal = error
    operation = until_undisturbed(lambda: _give_back(place, retreat.target))
    place.api.finish(operation)
    place.say(f"Version {retreat.target.id} has all traffic.")
    _crown(place, retreat.target)
    serving, _ = endpoints.serving_of(place.runtime)
    for version in retreat.withdrawn:
        registry.drop_aliases(place.api, version, serving.aliases)
        place.say(f"Version {version.id} is withdrawn.")
    kept = [retreat.target]
    for gone in endpoints.undeploy(place.api, place.look(), kept) if not refusal else []:
        place.say(f"Version {gone.version} is not deployed any more.")
    if refusal:
        raise refusal
    return retreat


def _give_back(place: Place, target: Version) -> Any:
    """Move the traffic; return the operation if the version has to be deployed for that, None else."""
    served = place.look()
    if deployed := served.deployed_of(target):
        endpoints.set_traffic(place.api, place.runtime, served, {deployed.id: ALL})
        return None
    place.say(f"Version {target.id} is not deployed any more: it is again, and gets the traffic when it answers. Minutes.")
    endpoint = served.endpoint or endpoints.make_endpoint(place.api, place.runtime)
    return endpoints.deploy_version(place.api, place.runtime, endpoint, target, {NEW: ALL})


def _crown(place: Place, version: Version) -> None:
    """Have a version be the champion, and what is meant where no version is named."""
    serving, model = endpoints.serving_of(place.runtime)
    now = next((v for v in registry.versions_of(place.api, model.name) if v.id == version.id), version)
    registry.move_aliases(place.api, model.name, now, [serving.champion_alias, DEFAULT_ALIAS])


def show(place: Place) -> None:
    """Say what is deployed, its traffic, and the versions with their aliases."""
    served = place.look()
    place.say(f"Endpoint: {served.endpoint or 'none'}")
    for each in served.deployed:
        place.say(
            f"  {_percent(each.traffic):>5}  {f'version {each.version}' if each.version else 'another model'}  ({each.id})"
        )
    place.say("Versions:" if served.versions else "Versions: none")
    for version in served.versions:
        marks = [*version.aliases, *_marks(version)]
        place.say(f"  {version.id:>4}  {', '.join(marks) or '-'}  {version.uri}")


def _marks(version: Version) -> Sequence[str]:
    return [f"{key} {version.labels[key]}" for key in (PROMOTED_LABEL, WITHDRAWN_LABEL) if key in version.labels]


def _rest(served: Served, split: dict[str, int]) -> str:
    others = [f"version {d.version or '?'} {_percent(split[d.id])}" for d in served.deployed if split.get(d.id)]
    return f", {', '.join(others)}" if others else ""


def _percent(share: int) -> str:
    return f"{share} %"


def _now() -> str:
    return f"{datetime.now(timezone.utc):%Y%m%dt%H%M%S%fz}"
