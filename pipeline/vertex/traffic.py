"""Splits of an endpoint's traffic, in whole percents that sum to 100."""

from __future__ import annotations

from collections.abc import Mapping

ALL = 100
# How a request to deploy names the model that it deploys.
NEW = "0"


def with_canary(split: Mapping[str, int], canary: str, percent: int) -> dict[str, int]:
    """Return a split in which a model gets a share, and the others the rest in the proportions they have.

    Args:
      split: {id of a deployed model: percent} of now.
      canary: id of the model, whether it is in the split or not.
      percent: 0 to 100. Where nothing else has traffic the model gets all of it.
    """
    others = {name: share for name, share in split.items() if name != canary and share > 0}
    if not others or percent == ALL:
        return {canary: ALL}
    return ({canary: percent} if percent else {}) | _scaled(others, ALL - percent)


def _scaled(shares: Mapping[str, int], total: int) -> dict[str, int]:
    """Return whole shares that sum to a total: what is lost by rounding down goes to those that lost most."""
    whole = sum(shares.values())
    exact = {name: share * total / whole for name, share in shares.items()}
    scaled = {name: int(share) for name, share in exact.items()}
    by_loss = sorted(exact, key=lambda name: (scaled[name] - exact[name], name))
    for name in by_loss[: total - sum(scaled.values())]:
        scaled[name] += 1
    return {name: share for name, share in scaled.items() if share}
