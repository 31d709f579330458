"""What serves: the versions of a model, what of them is deployed, and which one is meant, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.errors import ConfigError
from pipeline.registering import PROMOTED_LABEL, WITHDRAWN_LABEL


@dataclass(frozen=True)
class Version:
    """A version in the Model Registry.

    Attributes:
      id: "1", "2", ...
      name: resource name with the id.
      uri: its folder in the bucket.
    """

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    uri: str = ""

    @property
    def is_withdrawn(self) -> bool:
        return WITHDRAWN_LABEL in self.labels


class Deployed(NamedTuple):
    """A model on the endpoint; version: "" if it is none of this registry's."""

    id: str
    version: str
    traffic: int


class Retreat(NamedTuple):
    """What a rollback is about."""

    target: Version
    withdrawn: tuple[Version, ...]


@dataclass(frozen=True)
class Served:
    """A model and its endpoint.

    Attributes:
      versions: oldest first.
      endpoint: resource name; "" if there is none.
      etag: of the endpoint as it was read.
      deployed: on it.
      champion_alias: of the version that was promoted last.
    """

    versions: tuple[Version, ...]
    endpoint: str
    etag: str
    deployed: tuple[Deployed, ...]
    champion_alias: str

    @property
    def split(self) -> dict[str, int]:
        """{id of a deployed model: percent}, without those that have none."""
        return {each.id: each.traffic for each in self.deployed if each.traffic}

    @property
    def champion(self) -> Version | None:
        """The version that was promoted last."""
        return next((v for v in self.versions if self.champion_alias in v.aliases), None)

    @property
    def previous(self) -> Version | None:
        """The version that was the champion before, and would be again."""
        past = [v for v in self.versions if PROMOTED_LABEL in v.labels and not v.is_withdrawn and v != self.champion]
        return max(past, key=lambda version: (version.labels[PROMOTED_LABEL], int(version.id)), default=None)

    def deployed_of(self, version: Version) -> Deployed | None:
        """Return where a version is deployed; with traffic, if it is so twice."""
        return max((d for d in self.deployed if d.version == version.id), key=lambda d: d.traffic, default=None)

    def find(self, asked: str) -> Version:
        """Return a version by id or alias.

        Raises:
          ConfigError: there is none.
        """
        for version in self.versions:
            if asked == version.id or asked in version.aliases:
                return version
        known = ", ".join(f"{v.id} ({', '.join(v.aliases)})" if v.aliases else v.id for v in self.versions)
        raise ConfigError(
            f"There is no version '{asked}' in the Model Registry. "
            + (f"Expected one of: {known}." if known else "It is empty: run the pipeline with `serving:` in the runtime file.")
        )

    def canary(self, asked: str | None = None) -> Version:
        """Return the version that is to be promoted: the newest with traffic that is neither champion nor withdrawn.

        Raises:
          ConfigError: there is none, or the one asked for is not deployed.
        """
        if asked is not None:
            version = self.find(asked)
            refuse_withdrawn(version)
            if not self.deployed_of(version):
                raise ConfigError(f"Version {version.id} is not deployed. First: deploy --version {version.id}")
            return version
        if waiting := self._canaries():
            return waiting[-1]
        champion = f"Version {self.champion.id} is the champion already" if self.champion else "Nothing is deployed"
        raise ConfigError(f"{champion}: no other version has traffic, so there is nothing to promote. First: deploy")

    def retreat(self, asked: str | None = None) -> Retreat:
        """Say what a rollback goes back to, and which versions it withdraws.

        A canary with traffic goes first, and the champion stays; without one the champion goes, and the one before it comes
        back. What a rollback that was interrupted has withdrawn already is finished.

        Raises:
          ConfigError: there is nothing to go back to.
        """
        champion, begun = self.champion, [v for v in self.versions if v.is_withdrawn and self._is_left(v)]
        canaries = self._canaries()
        target: Version | None
        if asked is not None:
            target = self.find(asked)
            refuse_withdrawn(target)
            used = [v for v in self.versions if self._is_in_use(v) and v != target]
        elif begun:
            target, used = (self.previous if champion in begun else champion or self.previous), begun
        elif champion and canaries:
            target, used = champion, canaries
        else:
            target, used = self.previous, [champion] if champion else canaries
        if target is None:
            raise ConfigError("There is no version to go back to: no other one was promoted before and is not withdrawn.")
        if not used:
            raise ConfigError(f"Version {target.id} is the only one in use, so there is nothing to roll back.")
        return Retreat(target, tuple(used))

    def _canaries(self) -> list[Version]:
        with_traffic = {each.version for each in self.deployed if each.traffic}
        return [v for v in self.versions if v.id in with_traffic and v != self.champion and not v.is_withdrawn]

    def _is_left(self, version: Version) -> bool:
        return version == self.champion or self.deployed_of(version) is not None

    def _is_in_use(self, version: Version) -> bool:
        deployed = self.deployed_of(version)
        return version == self.champion or bool(deployed and deployed.traffic)


def refuse_withdrawn(version: Version) -> None:
    """Check that no rollback has withdrawn a version.

    Raises:
      ConfigError: one has.
    """
    if version.is_withdrawn:
        raise ConfigError(
            f"Version {version.id} was withdrawn at {version.labels[WITHDRAWN_LABEL]} by a rollback ({version.description}). "
            f"Choose another version; if that was a mistake, remove its label `{WITHDRAWN_LABEL}` in the console."
        )
